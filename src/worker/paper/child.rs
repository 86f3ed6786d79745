//! The paper worker's side: warm up, take one request, answer it, end.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::thread;

use faxpost_paper::{PaperError, Rendered};

use super::{PaperReply, PaperRequest};
use crate::worker::fonts::{self, FontsFrame};
use crate::worker::frame::FrameSender;
use crate::worker::{Blob, FrameError, FrameSocket};

/// Stack of the thread that renders, in bytes. Documents nest (a PDF's forms and patterns) and
/// the readers recurse; a stack that is full ends the process, not just the thread.
const STACK: usize = 64 << 20;

/// The rendering could not be started, or panicked.
const BROKEN: u8 = 70;

/// A paper worker's main, inside its sandbox.
pub(in crate::worker) fn run(socket: FrameSocket) -> ExitCode {
    run_with(socket, fonts::install, work)
}

/// As [`run`], with other work: for tests of the pool.
pub(in crate::worker) fn run_with(
    mut socket: FrameSocket,
    warm: fn(FontsFrame, Vec<OwnedFd>),
    work: fn(PaperRequest, &FrameSender) -> Result<(), FrameError>,
) -> ExitCode {
    // Then it waits, warm, with its fonts.
    let Ok(mut given) = socket.receive() else {
        return ExitCode::SUCCESS;
    };
    match given.decode() {
        Ok(frame) => warm(frame, std::mem::take(&mut given.fds)),
        Err(_) => return ExitCode::from(BROKEN),
    }
    let Ok(request) = socket.receive_message() else {
        // The gateway has no document for this worker, or has ended.
        return ExitCode::SUCCESS;
    };
    let (sender, _receiver) = socket.split();
    let rendering = thread::Builder::new()
        .name("render".to_owned())
        .stack_size(STACK)
        .spawn(move || work(request, &sender));
    match rendering.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::from(BROKEN),
    }
}

fn work(request: PaperRequest, sender: &FrameSender) -> Result<(), FrameError> {
    if let PaperRequest::Logo { name, bytes } = &request {
        return match faxpost_paper::logo(name, bytes) {
            Ok(logo) => {
                sender.send(&PaperReply::Logo(Blob(logo)))?;
                sender.send(&PaperReply::Done { notes: Vec::new() })
            }
            Err(error) => sender.send(&PaperReply::Failed(error)),
        };
    }
    let Rendered { pages, notes } = match draw(&request, sender) {
        Ok(result) => result,
        Err(error) => return sender.send(&PaperReply::Failed(error)),
    };
    for page in pages {
        sender.send(&PaperReply::Page(page.into()))?;
    }
    sender.send(&PaperReply::Done { notes })
}

fn draw(request: &PaperRequest, sender: &FrameSender) -> Result<Rendered, PaperError> {
    match request {
        PaperRequest::Render {
            input,
            setup,
            limits,
        } => {
            // Progress that can't be told is no reason to stop: the pages will tell.
            let mut progress = |done, total| {
                let _ = sender.send(&PaperReply::Progress { done, total });
            };
            faxpost_paper::render(input, setup, limits, &mut progress)
        }
        PaperRequest::Cover { cover, setup } => faxpost_paper::cover(cover, setup),
        PaperRequest::TryCover {
            template,
            logo,
            setup,
        } => faxpost_paper::try_template(template, logo.as_deref(), setup),
        PaperRequest::Logo { .. } => unreachable!("a logo has no page"),
    }
}
