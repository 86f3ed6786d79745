use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use sqlx::Row as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::{Millis, now_ms},
    config,
    demo::sink::{Sink, Trick},
    policy::Retention,
    store::{Kind, Store, Topic, testing::on_each_database},
    tokens::Tokens,
    vault::{Custody, NewItem, What},
};

const HOUR: Millis = 3_600_000;
const TENANT: &str = "01K6G3S2Q8M4T7V9W0X1Y2Z3A4";

/// An outbox, a sink and a clock that the test turns.
struct House {
    store: Store,
    custody: Custody,
    relay: Relay,
    sink: Sink,
    now: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

impl House {
    async fn new(store: Store) -> Self {
        let sink = Sink::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        Self::with_sink(store, sink).await
    }

    async fn with_sink(store: Store, sink: Sink) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let custody =
            Custody::start(&dir.path().join("custody"), &dir.path().join("keys")).unwrap();
        let relay = relay_to(&store, &custody, sink.address().port());
        Self {
            relay,
            store,
            custody,
            sink,
            // Ahead of all that is made ready, however long a slow machine takes to make it.
            now: Arc::new(AtomicI64::new(now_ms() + 60_000)),
            _dir: dir,
        }
    }

    fn now(&self) -> Millis {
        self.now.load(Ordering::Relaxed)
    }

    /// A mail that nobody has written yet.
    async fn draft(&self, name: &str, deadline: Millis) {
        let mail = NewMail {
            tenant_id: TENANT.into(),
            purpose: format!("test:{name}"),
            about: String::new(),
            message_id: format!("{name}@localhost"),
            return_path: String::new(),
            recipient: format!("{name}@example.com"),
            deadline,
        };
        let mut tx = self.store.begin().await.unwrap();
        assert!(enqueue(&mut tx, &mail).await.unwrap());
        tx.commit().await.unwrap();
    }

    /// A mail in the outbox, ready; its id.
    async fn mail(&self, name: &str, bytes: &[u8]) -> String {
        let mail = NewMail {
            tenant_id: TENANT.into(),
            purpose: format!("test:{name}"),
            about: String::new(),
            message_id: format!("{name}@localhost"),
            return_path: String::new(),
            recipient: format!("{name}@example.com"),
            deadline: self.now() + HOUR,
        };
        let mut tx = self.store.begin().await.unwrap();
        assert!(enqueue(&mut tx, &mail).await.unwrap());
        tx.commit().await.unwrap();
        let draft = to_compose(&self.store, &mail.purpose, 1)
            .await
            .unwrap()
            .remove(0);
        let kept = self
            .custody
            .keep_one(NewItem {
                tenant_id: TENANT.into(),
                what: What::Mail,
                bytes: bytes.to_vec(),
            })
            .await
            .unwrap();
        let mut tx = self.store.begin().await.unwrap();
        self.custody.record(&mut tx, &kept).await.unwrap();
        assert!(
            ready(&mut tx, &draft.mail_id, &kept.custody_id)
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
        draft.mail_id
    }

    async fn pass(&mut self) {
        let now = self.now.clone();
        self.relay
            .pass(
                move || now.load(Ordering::Relaxed),
                &CancellationToken::new(),
            )
            .await
            .unwrap();
    }

    /// Turns the clock to when there is something to do.
    async fn turn_clock(&self) -> Millis {
        let due = outbox::next_due(&self.store).await.unwrap().unwrap();
        let before = self.now.swap(due, Ordering::Relaxed);
        due - before
    }

    /// State, tries, answer, and whether its custody is done.
    async fn row(&self, mail_id: &str) -> (String, i64, String, bool) {
        let row = sqlx::query(
            "SELECT outbox.state, outbox.tries, COALESCE(outbox.last_answer, '') AS answer,
                    CAST(CASE WHEN custody.done_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS done
             FROM outbox JOIN custody ON custody.custody_id = outbox.custody_id
             WHERE outbox.tenant_id = $1 AND outbox.mail_id = $2",
        )
        .bind(TENANT)
        .bind(mail_id)
        .fetch_one(self.store.reader())
        .await
        .unwrap();
        (
            row.get("state"),
            row.get("tries"),
            row.get("answer"),
            row.get::<i64, _>("done") == 1,
        )
    }
}

fn relay_to(store: &Store, custody: &Custody, port: u16) -> Relay {
    let config = config::Relay {
        host: "127.0.0.1".into(),
        port,
        ..config::Relay::default()
    };
    Relay::new(setup(store, custody, config))
}

const NODE: &str = "this";

fn setup(store: &Store, custody: &Custody, config: config::Relay) -> Setup {
    Setup {
        signing: Arc::new(dkim::Signing::new(std::path::Path::new("/nowhere"))),
        return_paths: ReturnPaths::new(Tokens::open(&custody.vault()).unwrap(), None),
        store: store.clone(),
        custody: custody.clone(),
        config,
        hostname: "localhost".into(),
        retention: Retention::load(None).unwrap(),
        node: NODE.into(),
    }
}

fn row(state: &str, tries: i64, answer: &str, done: bool) -> (String, i64, String, bool) {
    (state.into(), tries, answer.into(), done)
}

on_each_database! {
    async fn a_purpose_has_one_mail(store) {
        let house = House::new(store).await;
        house.mail("one", b"x").await;
        let again = NewMail {
            tenant_id: TENANT.into(),
            purpose: "test:one".into(),
            about: String::new(),
            message_id: "other@localhost".into(),
            return_path: String::new(),
            recipient: "b@example.com".into(),
            deadline: 0,
        };
        let mut tx = house.store.begin().await.unwrap();
        assert!(!enqueue(&mut tx, &again).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(status(&house.store).await.unwrap().ready, 1);
    }

    async fn a_mail_is_sent_once_and_its_custody_is_done(store) {
        let mut house = House::new(store).await;
        let id = house.mail("a", b"Subject: x\n\n.dot\nend").await;
        house.pass().await;
        assert_eq!(house.row(&id).await, row("sent", 1, "250 2.0.0 kept", true));
        house.pass().await;
        let mails = house.sink.mails().all();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].data, b"Subject: x\r\n\r\n.dot\r\nend\r\n");
        assert_eq!(mails[0].recipients, ["a@example.com"]);
        assert_eq!(mails[0].return_path, "");
        assert_eq!(status(&house.store).await.unwrap(), OutboxStatus { last_error: None, ..OutboxStatus::default() });
    }

    async fn a_batch_shares_connections(store) {
        let mut house = House::new(store).await;
        for n in 0..20 {
            house.mail(&format!("m{n}"), b"Subject: x\r\n\r\n").await;
        }
        house.pass().await;
        let mails = house.sink.mails().all();
        assert_eq!(mails.len(), 20);
        assert!(mails.iter().all(|mail| mail.connection < 4), "at most four connections");
    }

    async fn smuggled_commands_stay_in_the_mail(store) {
        let mut house = House::new(store).await;
        house.mail("a", b"x\n.\nMAIL FROM:<evil@x>\nRCPT TO:<b@c>\nDATA\n\ny\r.\r\n").await;
        house.pass().await;
        let mails = house.sink.mails().all();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].data, b"x\r\n.\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<b@c>\r\nDATA\r\n\r\ny\r\n.\r\n");
    }

    async fn a_temporary_answer_is_tried_again(store) {
        let mut house = House::new(store).await;
        let id = house.mail("a", b"x").await;
        house.sink.play(Trick::Rcpt("451 4.3.0 later".into()));
        house.sink.play(Trick::Data("452 4.3.1 full".into()));
        house.sink.play(Trick::Mail("421 4.3.2 closing".into()));
        for (answer, step) in [("451 4.3.0 later", 30), ("452 4.3.1 full", 60), ("421 4.3.2 closing", 120)] {
            house.pass().await;
            let (state, _, said, done) = house.row(&id).await;
            assert_eq!((state.as_str(), said.as_str(), done), ("ready", answer, false));
            assert_eq!(status(&house.store).await.unwrap().last_error.as_deref(), Some(answer));
            let waited = house.turn_clock().await;
            assert!((step * 800..=step * 1200).contains(&waited), "{waited} ms after {answer}");
        }
        house.pass().await;
        assert_eq!(house.row(&id).await, row("sent", 4, "250 2.0.0 kept", true));
    }

    async fn promise_7_a_mail_that_is_refused_for_good_is_kept_for_a_month_and_no_longer(store) {
        let mut house = House::new(store).await;
        house.sink.play(Trick::Rcpt("550 5.1.1 unknown".into()));
        let refused = house.mail("a", b"x").await;
        house.pass().await;
        // A draft that is never written has no content to end.
        house.draft("never", house.now()).await;
        let written = house.mail("b", b"y").await;
        house.pass().await;
        assert_eq!(house.row(&written).await.0, "sent");
        let failed_at = house.now();
        let month = 30 * 24 * HOUR;
        house.relay.end_old(failed_at + month - 1).await.unwrap();
        let status_of = async |house: &House| {
            let status = status(&house.store).await.unwrap();
            (status.ready, status.failed, status.dropped)
        };
        assert_eq!(status_of(&house).await, (0, 2, 0));
        assert!(!house.row(&refused).await.3, "it is kept");
        for _ in 0..2 {
            house.relay.end_old(failed_at + month).await.unwrap();
            assert_eq!(status_of(&house).await, (0, 0, 2));
            assert_eq!(house.row(&refused).await, row("dropped", 1, "550 5.1.1 unknown", true));
        }
        // What is over is known for another month.
        let known = async |house: &House| -> i64 {
            sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM outbox")
                .fetch_one(house.store.reader())
                .await
                .unwrap()
        };
        house.relay.end_old(failed_at + 2 * month - 1).await.unwrap();
        assert_eq!(known(&house).await, 2, "the one that was sent is forgotten");
        house.relay.end_old(failed_at + 2 * month).await.unwrap();
        assert_eq!(known(&house).await, 0);
        // With nothing open its day ends: rows, key and segments.
        let swept = house.custody.sweep_at(&house.store, now_ms() + month).await.unwrap();
        assert_eq!(swept.days.len(), 1);
    }

    async fn a_draft_that_cannot_be_written_lets_the_others_by_and_comes_again(store) {
        let house = House::new(store).await;
        for name in ["bad", "good"] {
            house.draft(name, house.now() + HOUR).await;
        }
        let next = async || {
            let drafts = to_compose(&house.store, "test:", 8).await.unwrap();
            drafts.into_iter().map(|draft| draft.purpose).collect::<Vec<_>>()
        };
        let drafts = to_compose(&house.store, "test:", 8).await.unwrap();
        assert_eq!(next().await, ["test:bad", "test:good"]);
        let before = now_ms();
        put_off_draft(&house.store, &drafts[0].mail_id).await.unwrap();
        assert_eq!(next().await, ["test:good"]);
        let run_at: i64 = sqlx::query_scalar("SELECT run_at FROM outbox WHERE mail_id = $1")
            .bind(&drafts[0].mail_id).fetch_one(house.store.reader()).await.unwrap();
        assert!((before + pace::DRAFT..=now_ms() + pace::DRAFT).contains(&run_at));
        // Its minute is over.
        let mut tx = house.store.begin().await.unwrap();
        sqlx::query("UPDATE outbox SET run_at = $1 WHERE mail_id = $2")
            .bind(now_ms()).bind(&drafts[0].mail_id).execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(next().await, ["test:bad", "test:good"]);
        // A mail that is written is not put off.
        let ready = house.mail("ready", b"x").await;
        put_off_draft(&house.store, &ready).await.unwrap();
        let due: i64 = sqlx::query_scalar("SELECT run_at FROM outbox WHERE mail_id = $1")
            .bind(&ready).fetch_one(house.store.reader()).await.unwrap();
        assert!(due <= now_ms());
    }

    async fn a_permanent_answer_keeps_the_mail_and_says_so(store) {
        let mut house = House::new(store).await;
        house.sink.play(Trick::Rcpt("550 5.1.1 unknown".into()));
        let id = house.mail("a", b"x").await;
        house.pass().await;
        assert_eq!(house.row(&id).await, row("failed", 1, "550 5.1.1 unknown", false));
        let status = status(&house.store).await.unwrap();
        assert_eq!((status.ready, status.failed, status.oldest), (0, 1, None));
        assert_eq!(status.last_error.as_deref(), Some("550 5.1.1 unknown"));
        // The refusal takes no other mail with it, and the connection goes on.
        let other = house.mail("b", b"y").await;
        house.pass().await;
        assert_eq!(house.row(&other).await.0, "sent");
    }

    async fn an_answer_lost_after_the_dot_repeats_the_same_mail(store) {
        let mut house = House::new(store).await;
        let id = house.mail("a", b"Message-ID: <a@localhost>\r\n\r\nx").await;
        house.sink.play(Trick::DropAfterDot);
        house.pass().await;
        assert_eq!(house.row(&id).await.0, "ready");
        house.turn_clock().await;
        house.pass().await;
        assert_eq!(house.row(&id).await.0, "sent");
        let mails = house.sink.mails().all();
        assert_eq!(mails.len(), 2);
        assert_eq!(mails[0].data, mails[1].data);
        assert_eq!(mails[1].header("message-id").as_deref(), Some("<a@localhost>"));
    }

    async fn a_relay_that_is_down_is_left_in_peace_and_found_again(store) {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut house = House::new(store).await;
        house.relay = relay_to(&house.store, &house.custody, port.port());
        for n in 0..10 {
            house.mail(&format!("m{n}"), b"x").await;
        }
        house.pass().await;
        let tried: i64 = sqlx::query_scalar("SELECT CAST(SUM(tries) AS BIGINT) FROM outbox")
            .fetch_one(house.store.reader())
            .await
            .unwrap();
        assert!((1..=4).contains(&tried), "one try a connection, not one a mail: {tried}");
        let told = status(&house.store).await.unwrap();
        assert_eq!((told.ready, told.failed), (10, 0));
        assert!(told.last_error.unwrap().contains("can't be reached"));
        // It comes back at the same place.
        house.sink = Sink::start(port).await.unwrap();
        house.now.fetch_add(60_000, Ordering::Relaxed);
        house.pass().await;
        assert_eq!(house.sink.mails().all().len(), 10);
        assert_eq!(status(&house.store).await.unwrap(), OutboxStatus::default());
    }

    async fn a_greeting_that_refuses_is_no_verdict_on_a_mail(store) {
        let mut house = House::new(store).await;
        house.sink.play(Trick::Greet("554 5.3.2 no".into()));
        let id = house.mail("a", b"x").await;
        house.pass().await;
        assert_eq!(house.row(&id).await.0, "ready");
        house.turn_clock().await;
        house.pass().await;
        assert_eq!(house.row(&id).await.0, "sent");
    }

    async fn past_its_deadline_a_mail_fails_and_is_kept(store) {
        let mut house = House::new(store).await;
        let id = house.mail("a", b"x").await;
        let mut tries = 0;
        while house.row(&id).await.0 == "ready" {
            house.sink.play(Trick::Rcpt("450 4.2.0 greylisted".into()));
            house.turn_clock().await;
            house.pass().await;
            tries += 1;
            assert!(tries < 50);
        }
        assert_eq!(house.row(&id).await, row("failed", tries, "450 4.2.0 greylisted", false));
        assert!(tries > 5);
    }

    async fn a_draft_that_nobody_writes_ends(store) {
        let mut house = House::new(store).await;
        let mail = NewMail {
            tenant_id: TENANT.into(),
            purpose: "test:draft".into(),
            about: String::new(),
            message_id: "d@localhost".into(),
            return_path: String::new(),
            recipient: "d@example.com".into(),
            deadline: house.now() + HOUR,
        };
        let mut tx = house.store.begin().await.unwrap();
        enqueue(&mut tx, &mail).await.unwrap();
        tx.commit().await.unwrap();
        house.pass().await;
        let draft = to_compose(&house.store, "test:", 9).await.unwrap().remove(0);
        house.turn_clock().await;
        house.pass().await;
        assert!(to_compose(&house.store, "test:", 9).await.unwrap().is_empty());
        assert_eq!(status(&house.store).await.unwrap().failed, 1);
        let mut tx = house.store.begin().await.unwrap();
        assert!(!ready(&mut tx, &draft.mail_id, "nothing").await.unwrap());
    }

    async fn a_lease_that_runs_out_frees_the_mail(store) {
        let mut house = House::new(store).await;
        let id = house.mail("a", b"x").await;
        let lost = outbox::claim(&house.store, NODE, house.now(), 1).await.unwrap().remove(0);
        house.pass().await;
        assert_eq!(house.row(&id).await.0, "sending");
        house.turn_clock().await;
        house.pass().await;
        assert_eq!(house.row(&id).await, row("sent", 2, "250 2.0.0 kept", true));
        // Who lost the claim settles nothing any more.
        let mut tx = house.store.begin().await.unwrap();
        assert!(!outbox::failed(&mut tx, &lost, "late", 0).await.unwrap());
        assert!(!outbox::put_off(&mut tx, &lost, "late", 0).await.unwrap());
        assert!(!outbox::sent(&mut tx, &lost, "late", 0).await.unwrap());
    }

    async fn two_relays_send_each_mail_once(store) {
        let mut house = House::new(store).await;
        for n in 0..30 {
            house.mail(&format!("m{n}"), b"x").await;
        }
        let mut other = relay_to(&house.store, &house.custody, house.sink.address().port());
        let now = house.now();
        let stop = CancellationToken::new();
        let (a, b) = tokio::join!(house.relay.pass(|| now, &stop), other.pass(|| now, &stop));
        a.unwrap();
        b.unwrap();
        let mut to: Vec<_> = house.sink.mails().all().into_iter().map(|mail| mail.recipients).collect();
        assert_eq!(to.len(), 30);
        to.sort();
        to.dedup();
        assert_eq!(to.len(), 30);
    }

    async fn addresses_and_bodies_that_smtp_can_not_carry_fail_plainly(store) {
        let mut house = House::new(store).await;
        let id = house.mail("a b\r\nRCPT TO:<x@y>", b"x").await;
        let eight_bit = house.mail("grün", "Grüße".as_bytes()).await;
        house.pass().await;
        assert_eq!(house.row(&id).await.0, "failed");
        assert_eq!(house.row(&eight_bit).await.0, "sent");
        let mails = house.sink.mails().all();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].recipients, ["grün@example.com"]);
        assert_eq!(mails[0].data, "Grüße\r\n".as_bytes());
    }
}

on_each_database! {
    async fn the_task_wakes_takes_back_what_this_node_was_sending_and_stops(store) {
        let house = House::new(store).await;
        // What a crash left in `sending`, here and, where there can be one, on another node.
        let ours = house.mail("left", b"x").await;
        outbox::claim(&house.store, NODE, house.now(), 1).await.unwrap();
        let theirs = house.mail("theirs", b"z").await;
        outbox::claim(&house.store, "another", house.now(), 1).await.unwrap();
        let stop = CancellationToken::new();
        let config = config::Relay {
            host: "127.0.0.1".into(),
            port: house.sink.address().port(),
            ..config::Relay::default()
        };
        let task = Relay::start(setup(&house.store, &house.custody, config), stop.clone());
        let alone = usize::from(house.store.kind() == Kind::Sqlite);
        let mails = house.sink.mails();
        mails.wait_for_count(1 + alone).await;
        house.mail("new", b"y").await;
        house.store.wake(Topic::Outbox);
        mails.wait_for_count(2 + alone).await;
        stop.cancel();
        task.await.unwrap();
        assert_eq!(house.row(&ours).await.0, "sent");
        assert_eq!(house.row(&theirs).await.0, ["sending", "sent"][alone]);
    }
}

#[tokio::test]
async fn one_mail_can_be_submitted_at_once() {
    let sink = Sink::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let answer = submit(
        sink.address(),
        "a@b.example",
        "c@d.example",
        b"Subject: x\n\ny",
    )
    .await;
    assert_eq!(answer.unwrap(), "250 2.0.0 kept");
    assert_eq!(sink.mails().all()[0].return_path, "a@b.example");
    sink.play(Trick::Rcpt("550 5.7.1 you may not".into()));
    let answer = submit(sink.address(), "a@b.example", "c@d.example", b"x").await;
    assert_eq!(answer.unwrap_err().to_string(), "550 5.7.1 you may not");
}
