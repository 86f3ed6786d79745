//! Documents that are made to hurt, through the real paper workers: each ends in a clear answer, within the
//! limits of its worker, and the documents of others are drawn meanwhile as ever.
//!
//! A new kind of document adds its attacks to `ATTACKS`.
#![allow(clippy::unwrap_used)]

mod covers;
#[path = "../../crates/paper/tests/made/mod.rs"]
mod made;
mod pdfs;
mod pictures;
mod texts;
mod watch;

use std::time::{Duration, Instant};

use faxpost::trouble::Trouble;
use faxpost::worker::paper::{PaperDone, PaperFailure, PaperLimit, PaperPool, PaperRequest};
use faxpost::worker::{Kind, Limits, Program};
use faxpost_paper::{Cover, Input, PageSetup, Template};

/// A document that is made to hurt.
pub struct Attack {
    name: &'static str,
    make: Make,
    /// What must come of it, where more is known than "a clear answer".
    ends: Ends,
}

/// How a document is made: only when its turn has come, for some are large.
pub enum Make {
    /// A PDF.
    Pdf(fn() -> Vec<u8>),
    /// A picture file.
    Picture(fn() -> Vec<u8>),
    /// Plain text.
    Text(fn() -> String),
    /// A cover, whose fields are the attack.
    Cover(fn() -> Cover),
    /// A cover's template, as it is tried when it is uploaded.
    Template(fn() -> String),
}

/// What must come of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Pages, or any refusal in words.
    Clearly,
    /// Pages.
    Drawn,
    /// A refusal of the document itself, no limit.
    Refused,
    /// A limit.
    Limited,
}

const ATTACKS: [&[Attack]; 4] = [
    pdfs::ATTACKS,
    pictures::ATTACKS,
    texts::ATTACKS,
    covers::ATTACKS,
];

/// What every document has to end in, on a machine of one's own.
const MOST: Duration = Duration::from_secs(15);
/// The same on a machine that others use too: what counts then is the processor's time.
const CLOCK: Duration = Duration::from_secs(180);

fn request(make: &Make) -> PaperRequest {
    let setup = PageSetup::a4_fine();
    let name = "document".to_owned();
    let input = match make {
        Make::Pdf(make) => Input::Pdf {
            name,
            bytes: make(),
            password: None,
        },
        Make::Picture(make) => Input::Picture {
            name,
            bytes: make(),
            shown: false,
        },
        Make::Text(make) => Input::Text { name, text: make() },
        Make::Cover(make) => {
            return PaperRequest::Cover {
                cover: Box::new(make()),
                setup,
            };
        }
        Make::Template(make) => {
            return PaperRequest::TryCover {
                template: Template {
                    name: "mine".to_owned(),
                    source: make(),
                },
                logo: None,
                setup,
            };
        }
    };
    PaperRequest::Render {
        input,
        setup,
        limits: faxpost_paper::Limits::default(),
    }
}

fn pool(size: usize, limits: Limits) -> PaperPool {
    let program = Program::at(env!("CARGO_BIN_EXE_faxpost"));
    PaperPool::new(program, size, limits)
}

fn judge(attack: &Attack, result: &Result<PaperDone, PaperFailure>) -> Result<(), String> {
    let fits = match (result, attack.ends) {
        (Ok(done), Ends::Clearly | Ends::Drawn) => !done.pages.is_empty(),
        (Err(PaperFailure::Document(_)), Ends::Clearly | Ends::Refused) => true,
        (Err(PaperFailure::Limit(_)), Ends::Clearly | Ends::Limited) => true,
        _ => false,
    };
    let told = match result {
        Ok(done) => format!("{} pages, {:?}", done.pages.len(), done.notes),
        Err(failure) => {
            if failure.trouble() != Trouble::Permanent {
                return Err(format!("would be tried again: {failure}"));
            }
            failure.to_string()
        }
    };
    if fits {
        println!("    {told}");
        Ok(())
    } else {
        Err(format!("{:?} was to come of it: {told}", attack.ends))
    }
}

/// A document of somebody else.
fn honest() -> PaperRequest {
    request(&Make::Pdf(|| {
        include_bytes!("../../crates/paper/testdata/sample.pdf").to_vec()
    }))
}

/// What one page may compute here: less than it may in earnest, so that the test is over sooner.
const STEP: Duration = Duration::from_secs(2);

/// Each attack in one worker of a pool, while the other one draws a document of somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn promise_7_hostile_documents_end_in_clear_answers_and_hurt_nobody() {
    let limits = Limits::of(Kind::Paper);
    // Between two looks at it a worker computes a little more than it may.
    assert!(limits.step.unwrap() < MOST - Duration::from_secs(1));
    assert!(limits.cpu.unwrap() < MOST);
    let limits = Limits {
        step: Some(STEP),
        ..limits
    };
    let only = std::env::var("FAXPOST_ATTACK").ok();
    let pool = pool(2, limits.clone());
    let honest = honest();
    let expected = pool.render(&honest, CLOCK).await.unwrap();
    let watch = watch::Watch::start();
    let mut faults = Vec::new();
    for attack in ATTACKS.into_iter().flatten() {
        if only
            .as_ref()
            .is_some_and(|only| !attack.name.contains(only))
        {
            continue;
        }
        watch.forget();
        let hostile = request(&attack.make);
        let begun = Instant::now();
        let attacked = async {
            let result = pool.render(&hostile, CLOCK).await;
            (result, begun.elapsed())
        };
        let ((result, took), beside) = tokio::join!(attacked, pool.render(&honest, CLOCK));
        let seen = watch.seen();
        println!(
            "{}: {:.1} s of clock, {:.1} s of processor, {} MB",
            attack.name,
            took.as_secs_f64(),
            seen.processor.as_secs_f64(),
            seen.resident >> 20,
        );
        let mut fault = |fault: String| faults.push(format!("{}: {fault}", attack.name));
        if let Err(odd) = judge(attack, &result) {
            fault(odd);
        }
        if beside.as_ref() != Ok(&expected) {
            fault(format!("another's document was hurt: {:?}", beside.err()));
        }
        if seen.processor > STEP + Duration::from_secs(2) {
            fault(format!("{:?} of processor", seen.processor));
        }
        if seen.resident > limits.address_space {
            fault(format!("{} octets of memory", seen.resident));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    pool.shutdown(CLOCK).await;
}

/// Many pages, none of which takes too long, end when their sum does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn promise_7_a_document_of_slow_pages_ends_when_their_sum_is_too_much() {
    // Less than in earnest, so that the test is over sooner.
    let whole = Duration::from_secs(3);
    let pool = pool(
        1,
        Limits {
            cpu: Some(whole),
            ..Limits::of(Kind::Paper)
        },
    );
    let slow = request(&Make::Pdf(|| pdfs::slow_pages(200)));
    let watch = watch::Watch::start();
    let result = pool.render(&slow, CLOCK).await;
    let seen = watch.seen();
    assert_eq!(
        result,
        Err(PaperFailure::Limit(PaperLimit::Processor(whole)))
    );
    let most = whole + Duration::from_secs(2);
    assert!(seen.processor <= most, "{:?} of processor", seen.processor);
    assert!(pool.render(&honest(), CLOCK).await.is_ok());
    pool.shutdown(CLOCK).await;
}
