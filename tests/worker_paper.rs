//! The paper workers' pool, with a worker that misbehaves as its document says: whatever a
//! document does costs that document only.
#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use faxpost::trouble::Trouble;
use faxpost::worker::paper::{PaperDone, PaperFailure, PaperLimit, PaperPool, PaperRequest};
use faxpost::worker::{Kind, Limits, Program};
use faxpost_paper::{Input, PageSetup, PaperError};
use tokio::sync::watch;

/// Longer than any of these documents needs; one that must not wait has its own.
const LONG: Duration = Duration::from_secs(120);

fn misbehaving() -> Program {
    Program::with_word(env!("CARGO_BIN_EXE_faxpost"), "probe-render")
}

fn text(text: &str) -> PaperRequest {
    PaperRequest::Render {
        input: Input::Text {
            name: "letter.txt".to_owned(),
            text: text.to_owned(),
        },
        setup: PageSetup::a4_fine(),
        limits: faxpost_paper::Limits::default(),
    }
}

async fn render(pool: &PaperPool, document: &str) -> Result<PaperDone, PaperFailure> {
    pool.render(&text(document), LONG).await
}

/// That the pool still works.
async fn assert_serving(pool: &PaperPool) {
    let done = render(pool, "well").await.unwrap();
    assert_eq!(done.pages.len(), 1);
    assert_eq!(done.pages[0].data, b"well");
}

#[tokio::test]
async fn every_document_gets_its_own_answer() {
    let pool = Arc::new(PaperPool::new(misbehaving(), 2, Limits::of(Kind::Paper)));
    let mut all = tokio::task::JoinSet::new();
    for n in 0..12 {
        let pool = Arc::clone(&pool);
        all.spawn(async move {
            let document = format!("document {n}");
            let done = render(&pool, &document).await.unwrap();
            assert_eq!(done.pages[0].data, document.as_bytes());
        });
    }
    while let Some(result) = all.join_next().await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_bad_document_costs_that_document_only() {
    let limits = Limits {
        cpu: Some(Duration::from_secs(1)),
        address_space: 512 << 20,
        ..Limits::of(Kind::Paper)
    };
    let pool = PaperPool::new(misbehaving(), 1, limits);
    let damaged = PaperError::Damaged {
        name: "probe".to_owned(),
        reason: faxpost_paper::Reason::NotDrawn,
    };
    for (document, failure) in [
        ("damaged", PaperFailure::Document(damaged)),
        ("eat", PaperFailure::Limit(PaperLimit::Memory(512 << 20))),
        (
            "spin",
            PaperFailure::Limit(PaperLimit::Processor(Duration::from_secs(1))),
        ),
        ("recurse", PaperFailure::Limit(PaperLimit::Nesting)),
        ("endless pages", PaperFailure::Crashed),
        ("abort", PaperFailure::Crashed),
        ("panic", PaperFailure::Crashed),
        ("nonsense", PaperFailure::Crashed),
        ("strange page", PaperFailure::Crashed),
        ("half", PaperFailure::Crashed),
    ] {
        assert_eq!(
            render(&pool, document).await,
            Err(failure.clone()),
            "{document}"
        );
        assert_eq!(failure.trouble(), Trouble::Permanent);
        assert_serving(&pool).await;
    }
}

#[tokio::test]
async fn an_answer_cannot_fill_the_gateways_memory() {
    let pool = PaperPool::new(misbehaving(), 1, Limits::of(Kind::Paper));
    let failure = PaperFailure::Limit(PaperLimit::Pages(256 << 20));
    assert_eq!(render(&pool, "large pages").await, Err(failure));
    assert_serving(&pool).await;
}

#[tokio::test]
async fn a_document_ends_at_its_deadline() {
    let pool = PaperPool::new(misbehaving(), 1, Limits::of(Kind::Paper));
    let deadline = Duration::from_millis(300);
    let result = pool.render(&text("hang"), deadline).await;
    assert_eq!(result, Err(PaperFailure::Limit(PaperLimit::Wall(deadline))));
    assert_serving(&pool).await;
}

/// Kills a worker in the middle of its document, and the one that tries it again.
#[tokio::test]
async fn a_worker_killed_in_its_document_is_reported() {
    let pool = Arc::new(PaperPool::new(misbehaving(), 1, Limits::of(Kind::Paper)));
    let (progress, mut watched) = watch::channel((0, 0));
    let rendering = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.render_watched(&text("hang"), LONG, progress).await }
    });
    let mut killed = Vec::new();
    for _ in 0..2 {
        watched.changed().await.unwrap();
        let (pid, _) = *watched.borrow_and_update();
        killed.push(pid);
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert_eq!(rendering.await.unwrap(), Err(PaperFailure::Crashed));
    assert_ne!(killed[0], killed[1]);
    assert_serving(&pool).await;
}

#[tokio::test]
async fn without_workers_documents_wait_for_later() {
    let pool = PaperPool::new(Program::at("/nonexistent"), 2, Limits::of(Kind::Paper));
    let failure = render(&pool, "well").await.unwrap_err();
    assert!(
        matches!(failure, PaperFailure::Unavailable(_)),
        "{failure:?}"
    );
    assert_eq!(failure.trouble(), Trouble::Temporary);
}

#[tokio::test]
async fn a_document_beyond_a_frame_is_refused() {
    let pool = PaperPool::new(misbehaving(), 1, Limits::of(Kind::Paper));
    let huge = "x".repeat(65 << 20);
    let failure = render(&pool, &huge).await.unwrap_err();
    assert!(
        matches!(failure, PaperFailure::TooLarge { .. }),
        "{failure:?}"
    );
    assert_eq!(
        failure.to_string(),
        "the document is too large: it has 66 MB"
    );
    assert_serving(&pool).await;
}

/// Until its worker is at work, and then returns its process id.
async fn begun(watched: &mut watch::Receiver<(u32, u32)>) -> u32 {
    watched.changed().await.unwrap();
    watched.borrow().0
}

#[tokio::test]
async fn stopping_gives_up_what_does_not_end() {
    let pool = PaperPool::new(misbehaving(), 2, Limits::of(Kind::Paper));
    let (progress, mut watched) = watch::channel((0, 0));
    let request = text("hang");
    let hanging = pool.render_watched(&request, LONG, progress);
    let stopping = async {
        let pid = begun(&mut watched).await;
        pool.shutdown(Duration::from_millis(1)).await;
        pid
    };
    let (result, pid) = tokio::join!(hanging, stopping);
    assert!(
        matches!(result, Err(PaperFailure::Unavailable(_))),
        "{result:?}"
    );
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    let late = render(&pool, "well").await;
    assert!(
        matches!(late, Err(PaperFailure::Unavailable(_))),
        "{late:?}"
    );
}

#[tokio::test]
async fn stopping_never_halves_a_document() {
    let pool = PaperPool::new(misbehaving(), 1, Limits::of(Kind::Paper));
    let request = text("well");
    let rendering = pool.render(&request, LONG);
    let stopping = async {
        // Not before the document is handed in, which is the first thing that rendering does.
        tokio::task::yield_now().await;
        pool.shutdown(LONG).await;
    };
    let started = std::time::Instant::now();
    let (result, ()) = tokio::join!(rendering, stopping);
    // Taken by a worker and finished, or not taken at all: never half.
    match result {
        Ok(done) => assert_eq!(done.pages[0].data, b"well"),
        Err(failure) => assert_eq!(failure.trouble(), Trouble::Temporary),
    }
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn dropping_the_pool_kills_its_workers() {
    let pool = PaperPool::new(misbehaving(), 1, Limits::of(Kind::Paper));
    let (progress, mut watched) = watch::channel((0, 0));
    let request = text("hang");
    let pid = tokio::select! {
        result = pool.render_watched(&request, LONG, progress) => panic!("{result:?}"),
        pid = begun(&mut watched) => pid,
    };
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let worker = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    drop(pool);
    // The task that held the worker is dropped when the runtime next looks at it.
    let ended = tokio::task::spawn_blocking(move || {
        let mut fds = [rustix::event::PollFd::new(
            &worker,
            rustix::event::PollFlags::IN,
        )];
        let patience = rustix::event::Timespec {
            tv_sec: 30,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut fds, Some(&patience))
    });
    assert_eq!(ended.await.unwrap(), Ok(1), "the worker lives on");
}
