//! A call that there is no room for is refused unanswered, and leaves nothing on record.
#![allow(clippy::unwrap_used)]

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use faxpost::{
    line::{
        Answerer, CallEnding, Decision, FaxLine as _, IncomingCall, ReceivedPage, Setup,
        SipFaxLine,
        sip::{CallId, Dial, Dropped, Event, OfferId, ReAnswer, SipError, SipLine, Trunk, TrunkId},
    },
    worker::Program,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{Mutex as Turns, Semaphore, mpsc};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 8\r\n";
/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Calls of one line worker.
const PLACES: u64 = 32;

/// One of these tests kills this process's workers: they take turns.
static TURNS: Turns<()> = Turns::const_new(());

/// Signalling that keeps what it is told.
struct Signalling {
    events: Mutex<Option<mpsc::Receiver<Event>>>,
    said: mpsc::UnboundedSender<(CallId, String)>,
}

type Fut<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Signalling {
    fn say(&self, call: CallId, what: String) {
        let _ = self.said.send((call, what));
    }
}

impl SipLine for Signalling {
    fn events(&self) -> Option<mpsc::Receiver<Event>> {
        self.events.lock().unwrap().take()
    }
    fn set_trunk<'a>(&'a self, _: TrunkId, _: Option<Trunk>) -> Fut<'a, Result<(), SipError>> {
        Box::pin(async { Ok(()) })
    }
    fn dial(&self, _: Dial) -> Result<CallId, SipError> {
        Err(SipError::Stopped)
    }
    fn ring(&self, call: CallId) {
        self.say(call, "ring".into());
    }
    fn answer(&self, call: CallId, _: Vec<u8>) {
        self.say(call, "answer".into());
    }
    fn reject(&self, call: CallId, status: u16, q850: Option<u16>) {
        self.say(call, format!("{status} {}", q850.unwrap_or(0)));
    }
    fn reoffer<'a>(&'a self, _: CallId, _: Vec<u8>) -> Fut<'a, ReAnswer> {
        Box::pin(async { ReAnswer::Gone })
    }
    fn reanswer(&self, _: CallId, _: OfferId, _: Result<Vec<u8>, u16>) {}
    fn hangup(&self, call: CallId, _: Option<u16>) {
        self.say(call, "hangup".into());
    }
    fn dropped(&self) -> Dropped {
        Dropped::default()
    }
}

/// Thinks about each call until it is let decide; counts those that it was asked about.
struct Slow {
    may_decide: Semaphore,
    asked: mpsc::UnboundedSender<()>,
}

#[async_trait]
impl Answerer for Slow {
    async fn offered(&self, _: &IncomingCall) -> Decision {
        let _ = self.asked.send(());
        let _ = self
            .may_decide
            .acquire()
            .await
            .map(|permit| permit.forget());
        Decision::Refuse(404)
    }
    async fn keep(&self, _: &IncomingCall, _: ReceivedPage) -> bool {
        false
    }
    async fn ended(&self, _: &IncomingCall, _: CallEnding) {
        panic!("no call was answered");
    }
}

struct House {
    calls: mpsc::Sender<Event>,
    said: mpsc::UnboundedReceiver<(CallId, String)>,
    answerer: Arc<Slow>,
    asked: mpsc::UnboundedReceiver<()>,
    _line: SipFaxLine,
}

async fn house(program: Program) -> House {
    let (calls, events) = mpsc::channel(64);
    let (said_tx, said) = mpsc::unbounded_channel();
    let (asked_tx, asked) = mpsc::unbounded_channel();
    let line = SipFaxLine::start(Setup {
        sip: Arc::new(Signalling {
            events: Mutex::new(Some(events)),
            said: said_tx,
        }),
        media_ip: [127, 0, 0, 1].into(),
        advertised: std::net::IpAddr::from([127, 0, 0, 1]).into(),
        resolver: faxpost::line::Resolver::new(None, [127, 0, 0, 1].into()),
        media_ports: (47_400, 47_599),
        speed: 1,
        ring_timeout: PATIENCE,
        vault: None,
        program,
        workers: 1,
    })
    .await
    .unwrap();
    let answerer = Arc::new(Slow {
        may_decide: Semaphore::new(0),
        asked: asked_tx,
    });
    line.set_answerer(answerer.clone());
    House {
        calls,
        said,
        answerer,
        asked,
        _line: line,
    }
}

impl House {
    async fn call(&self, number: u64) {
        let call = Event::Incoming {
            call: CallId(number),
            trunk: TrunkId(1),
            to: "+33199001122".into(),
            from: "+33123456789".into(),
            diversion: None,
            sdp: OFFER.into(),
            source: ([127, 0, 0, 1], 5060).into(),
            headers: Vec::new(),
        };
        self.calls.send(call).await.unwrap();
    }

    async fn hears(&mut self) -> (u64, String) {
        let (call, said) = tokio::time::timeout(PATIENCE, self.said.recv())
            .await
            .expect("an answer")
            .unwrap();
        (call.0, said)
    }

    async fn is_asked(&mut self) {
        let asked = tokio::time::timeout(PATIENCE, self.asked.recv()).await;
        asked.expect("the room above is asked").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_too_many_is_busy_and_a_place_that_is_free_again_is_taken() {
    let _turn = TURNS.lock().await;
    let mut house = house(Program::at(env!("CARGO_BIN_EXE_faxpost"))).await;
    for number in 0..PLACES {
        house.call(number).await;
        house.is_asked().await;
    }
    house.call(100).await;
    assert_eq!(house.hears().await, (100, "486 17".to_owned()));
    assert!(
        house.asked.try_recv().is_err(),
        "the room above hears nothing of it"
    );
    // One of those that ring is refused: its place is free.
    house.answerer.may_decide.add_permits(1);
    assert_eq!(house.hears().await.1, "404 0");
    // The refusal is said before the place is given back.
    let mut tries = 200;
    loop {
        house.call(tries).await;
        tokio::select! {
            asked = house.asked.recv() => break asked.unwrap(),
            said = house.said.recv() => assert_eq!(said.unwrap().1, "486 17"),
        }
        tries += 1;
    }
}

/// This process's children `faxpost worker …`, ended ones that nobody has waited for included.
fn children_that_are_workers() -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok());
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // Behind the name: state, parent.
        let mut rest = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let parent = rest.nth(1).and_then(|word| word.parse::<u32>().ok());
        if parent == Some(std::process::id()) {
            found.extend(pid.and_then(Pid::from_raw));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_line_worker_is_refused_unanswered() {
    let _turn = TURNS.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("faxpost");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_faxpost"), &program).unwrap();
    let mut house = house(Program::at(&program)).await;
    // There is no program any more to start another, and the worker dies.
    std::fs::remove_file(&program).unwrap();
    for worker in children_that_are_workers() {
        kill_process(worker, Signal::KILL).unwrap();
    }
    // Its end is noticed once it is reaped.
    let reaped = async {
        while !children_that_are_workers().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reaped)
        .await
        .expect("the worker is reaped");
    house.call(1).await;
    assert_eq!(house.hears().await, (1, "503 41".to_owned()));
    assert!(house.asked.try_recv().is_err());
}
