//! Mailboxes that are polled, on a scripted server: what goes well, and how servers go wrong.

use std::time::Duration;

use crate::support::{
    ALICE, FAR_NUMBER, Rig, RigBuilder, http,
    imap::{ImapServer, Trick},
};

/// Alice's mails are proven by the word of the mailbox's server.
const RULES: &str = "fresh_s = 86400\n[[rule]]\nwho = ['*']\nproof = ['mailbox', 'password', 'network']\n\
                     networks = ['127.0.0.0/8']\n";
const BOX: &str = "scan@office.example";

/// A mail to a number, as the mailbox's server has it.
fn mail(subject: &str, to: &str) -> Vec<u8> {
    let said = "Authentication-Results: mx.localhost; dmarc=pass header.from=example.localhost\r\n";
    format!(
        "Received: by mx.localhost; now\r\n{said}{}",
        unproven(subject, to)
    )
    .into_bytes()
}

/// The same without anybody's word.
fn unproven(subject: &str, to: &str) -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let date = jiff::fmt::rfc2822::to_string(&now).unwrap();
    format!(
        "From: Alice Martin <{ALICE}>\r\nTo: {to}\r\nDate: {date}\r\nMessage-ID: <{}@test>\r\nSubject: {subject}\r\n\r\n\
         An offer.\r\n",
        faxpost::store::new_id()
    )
}

fn to_far() -> String {
    format!("{FAR_NUMBER}@fax.localhost")
}

fn rig() -> RigBuilder {
    Rig::builder()
        .policy("senders.toml", RULES)
        .setting("imap", "timeout_s = 3")
}

/// A mailbox on the server, with these options besides.
async fn add(rig: &Rig, server: &ImapServer, options: &str) {
    let port = server.address.port();
    rig.admin(&format!(
        "add mailbox scans host 127.0.0.1 login {BOX} security none port {port} password secret believes mx.localhost \
         {options}"
    ));
}

/// Waits until a folder of the server has so many mails.
async fn wait_folder(rig: &Rig, server: &ImapServer, folder: &str, count: usize) {
    rig.until(&format!("{count} mails in {folder}"), async || {
        (server.mails(folder).len() >= count).then_some(())
    })
    .await;
    assert_eq!(server.mails(folder).len(), count, "{folder}");
}

async fn wait_given(rig: &Rig, server: &ImapServer, command: &str, times: usize) {
    rig.until(&format!("{command} {times} times"), async || {
        (server.given(command) >= times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_mail_in_a_mailbox_is_faxed_and_moved_when_it_is_kept() {
    let server = ImapServer::start().await;
    let mut rig = rig().start().await;
    server.append(&mail("First", &to_far()));
    // Every 1740 s: what wakes it is IDLE.
    add(&rig, &server, "every 1740 faxed \"Envoy\u{e9}s & \u{e7}a\"").await;
    let faxed = "Envoy&AOk-s &- &AOc-a";
    wait_folder(&rig, &server, faxed, 1).await;
    assert_eq!(rig.wait_job(&["sent"]).await.destination, FAR_NUMBER);
    rig.wait_report("First")
        .await
        .assert_says("mx.localhost, the server of the mailbox");
    let door = "SELECT CAST(COUNT(*) AS BIGINT) FROM submission WHERE door = 'imap'";
    assert_eq!(rig.count(door).await, 1);

    wait_given(&rig, &server, "IDLE", 1).await;
    server.append(&mail("Second", &to_far()));
    wait_folder(&rig, &server, faxed, 2).await;
    // The server goes while it is waited for news, and what comes meanwhile is faxed as well.
    let idles = server.given("IDLE");
    wait_given(&rig, &server, "IDLE", idles).await;
    server.kick();
    server.append(&mail("Third", &to_far()));
    wait_folder(&rig, &server, faxed, 3).await;
    rig.wait_reports(3).await;
    assert!(server.with(|state| state.logins) >= 2);

    let status = rig.status().await;
    let words = status["mailboxes"][0]["words"].as_str().unwrap();
    assert!(words.contains("polled"), "{words}");
    assert!(rig.admin("show mailbox scans").contains("polled"));
    rig.stop().await;
    let lease = "SELECT CAST(COUNT(*) AS BIGINT) FROM mailbox_state WHERE lease_owner IS NOT NULL";
    assert_eq!(rig.count(lease).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_mail_that_was_not_moved_is_not_faxed_again() {
    let server = ImapServer::start().await;
    let mut rig = rig().start().await;
    add(&rig, &server, "every 5").await;
    let one = mail("Once", &to_far());
    // The mail is on record, and the server does not get to move it.
    server.trick(Trick::StallAtMove);
    server.append(&one);
    wait_given(&rig, &server, "UID MOVE", 1).await;
    rig.kill9().await;
    assert_eq!(
        (server.mails("INBOX").len(), server.mails("Faxed").len()),
        (1, 0)
    );
    rig.restart().await;
    wait_folder(&rig, &server, "Faxed", 1).await;
    // The mailbox is made anew out of a backup: other numbers, the same mail.
    server.with(|state| {
        let moved = state.folders.get_mut("Faxed").unwrap().mails.remove(0);
        let inbox = state.folders.get_mut("INBOX").unwrap();
        inbox.uid_validity = 2;
        inbox
            .mails
            .push(crate::support::imap::Kept { uid: 7, ..moved });
    });
    server.kick();
    wait_folder(&rig, &server, "Faxed", 1).await;
    assert_eq!(rig.jobs().await.len(), 1);
    // The window for the octets of a lost 250 is over by then.
    let remembered = "SELECT CAST(COUNT(*) AS BIGINT) FROM accepted_mail WHERE expires_at > accepted_at + 15551000000";
    // Both places, and the octets.
    assert_eq!(rig.count(remembered).await, 3);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_another_servers_mail_with_the_same_numbers_is_faxed() {
    let (first, second) = (ImapServer::start().await, ImapServer::start().await);
    let mut rig = rig().start().await;
    let uid = first.append(&mail("Here", &to_far()));
    assert_eq!(second.append(&mail("There", &to_far())), uid);
    add(&rig, &first, "every 5").await;
    wait_folder(&rig, &first, "Faxed", 1).await;
    rig.admin(&format!("set mailbox scans port {}", second.address.port()));
    wait_folder(&rig, &second, "Faxed", 1).await;
    let kept = "SELECT CAST(COUNT(*) AS BIGINT) FROM submission WHERE door = 'imap'";
    assert_eq!(rig.count(kept).await, 2);
    rig.wait_reports(2).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_what_nobody_proven_sent_is_told_to_the_owner_alone() {
    let server = ImapServer::start().await;
    let mut rig = rig().start().await;
    server.append(unproven("Forged", &to_far()).as_bytes());
    server.append(&mail("No number", BOX));
    let large = [mail("Large", &to_far()), vec![b'x'; 40 << 20]].concat();
    server.append(&large);
    add(&rig, &server, "every 5 owner boss@example.localhost").await;
    wait_folder(&rig, &server, "Refused", 3).await;
    assert!(server.mails("INBOX").is_empty() && rig.jobs().await.is_empty());
    // The large one was flagged and not asked for.
    assert_eq!(server.given("UID FETCH 3 (UID BODY.PEEK[])"), 0);
    let flagged = |mails: Vec<crate::support::imap::Kept>| {
        mails
            .iter()
            .any(|mail| mail.flags.iter().any(|flag| flag == "\\Flagged"))
    };
    assert!(flagged(server.mails("Refused")));
    let digest = rig
        .until("a digest", async || {
            rig.letters()
                .into_iter()
                .find(|letter| letter.subject.contains("were not faxed"))
        })
        .await;
    assert_eq!(digest.recipients, ["boss@example.localhost"]);
    digest.assert_says("Forged");
    digest.assert_says("is not one of mx.localhost");
    // Alice proved herself with the mail that names no number, and hears of it.
    let answer = rig
        .until("an answer", async || {
            rig.letters()
                .into_iter()
                .find(|letter| letter.subject.contains("Not faxed: No number"))
        })
        .await;
    assert_eq!(answer.recipients, [ALICE]);
    answer.assert_says("names no fax number");
    assert!(!rig.letters().iter().any(|letter| {
        letter.recipients == [ALICE]
            && (letter.subject.contains("Forged") || letter.subject.contains("Large"))
    }));
    let told = "SELECT CAST(COUNT(*) AS BIGINT) FROM refused_mail";
    assert_eq!(rig.count(told).await, 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_number_in_the_subject_counts_where_the_mail_names_the_mailbox() {
    let server = ImapServer::start().await;
    let mut rig = rig().start().await;
    add(&rig, &server, "every 5 numbers subject").await;
    let subject = format!("{FAR_NUMBER}: the offer");
    server.append(&mail(&subject, BOX));
    wait_folder(&rig, &server, "Faxed", 1).await;
    assert_eq!(rig.wait_job(&["sent"]).await.destination, FAR_NUMBER);
    // Written to somebody else, and sent on to us: not meant as a fax.
    server.append(&mail(&subject, "bob@example.localhost"));
    wait_folder(&rig, &server, "Refused", 1).await;
    let reason: String = sqlx::query_scalar("SELECT reason FROM refused_mail")
        .fetch_one(rig.store.reader())
        .await
        .unwrap();
    assert!(
        reason.contains("scan@office.example is in neither its To nor its Cc line"),
        "{reason}"
    );
    assert_eq!(rig.jobs().await.len(), 1);
    // By the text, where the mailbox has it so.
    let logins = server.with(|state| state.logins);
    rig.admin("set mailbox scans numbers body");
    rig.until("a login with the new settings", async || {
        (server.with(|state| state.logins) > logins).then_some(())
    })
    .await;
    let mut body = String::from_utf8(mail("An offer", BOX)).unwrap();
    body = body.replace("An offer.\r\n", &format!("{FAR_NUMBER}\r\nAn offer.\r\n"));
    server.append(body.as_bytes());
    wait_folder(&rig, &server, "Faxed", 2).await;
    assert_eq!(rig.jobs().await.len(), 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_comes_before_the_server_begins_to_wait_is_not_overlooked() {
    let server = ImapServer::start().await;
    // More lines than the library's channel holds.
    for (subject, lines) in [("Early", 1), ("Flood", 200)] {
        server.trick(Trick::MailBeforePlus(mail(subject, &to_far()), lines));
    }
    let mut rig = rig().start().await;
    add(&rig, &server, "every 1740").await;
    wait_folder(&rig, &server, "Faxed", 2).await;
    rig.wait_reports(2).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stalls_lies_or_says_goodbye_is_asked_again() {
    let server = ImapServer::start().await;
    server.trick(Trick::ByeAtLogin(2));
    server.trick(Trick::StallOnce);
    server.trick(Trick::Unordered);
    let (lie, short) = (mail("Lie", &to_far()), mail("Short lie", &to_far()));
    server.trick(Trick::Lie {
        octets: lie.len(),
        announced: 999_999_999,
    });
    server.trick(Trick::Lie {
        octets: short.len(),
        announced: 20,
    });
    server.append(&lie);
    server.append(&short);
    server.append(&mail("Honest one", &to_far()));
    server.append(&mail("Honest two", &to_far()));
    let mut rig = rig().start().await;
    add(&rig, &server, "every 5").await;
    // Nobody is kept from being faxed by those that can't be read.
    wait_folder(&rig, &server, "Faxed", 2).await;
    wait_folder(&rig, &server, "Refused", 1).await;
    rig.wait_reports(2).await;
    let left = server.mails("INBOX");
    assert!(left.len() == 1 && left[0].octets == short);
    let shown = rig
        .until("a failure", async || {
            Some(rig.admin("show mailbox scans")).filter(|shown| shown.contains("failing"))
        })
        .await;
    assert!(shown.contains("last failure"), "{shown}");
    // Nothing of a mail is in the words about it.
    assert!(
        shown.contains("can't be read") && !rig.logs().contains("An offer."),
        "{shown}"
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_move_a_mail_is_copied_and_marked() {
    let server = ImapServer::start().await;
    server.with(|state| "UIDPLUS".clone_into(&mut state.capabilities));
    server.append(&mail("With UIDPLUS", &to_far()));
    let mut rig = rig().start().await;
    // No IDLE either: the interval alone.
    add(&rig, &server, "every 5").await;
    wait_folder(&rig, &server, "Faxed", 1).await;
    rig.until("an empty INBOX", async || {
        server.mails("INBOX").is_empty().then_some(())
    })
    .await;
    assert_eq!((server.given("IDLE"), server.given("UID EXPUNGE")), (0, 1));

    server.with(|state| state.capabilities.clear());
    server.kick();
    server.append(&mail("Without", &to_far()));
    wait_folder(&rig, &server, "Faxed", 2).await;
    rig.until("a mark", async || {
        let marked = server
            .mails("INBOX")
            .iter()
            .any(|mail| mail.flags.contains(&"\\Deleted".to_owned()));
        marked.then_some(())
    })
    .await;
    // It stays, and is looked at no more; what others have marked is not removed by us.
    let searches = server.given("UID SEARCH");
    wait_given(&rig, &server, "UID SEARCH", searches + 2).await;
    assert_eq!(
        (server.mails("Faxed").len(), server.given("EXPUNGE")),
        (2, 0)
    );
    rig.wait_reports(2).await;
    assert_eq!(rig.jobs().await.len(), 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_login_that_is_refused_is_told_to_the_operator_once() {
    let server = ImapServer::start().await;
    server.with(|state| state.passwords = vec!["new".into()]);
    server.append(&mail("Waits", &to_far()));
    let mut rig = rig()
        .setting("imap", "alert_s = 0")
        .setting("relay", "postmaster = \"root@example.localhost\"")
        .start()
        .await;
    add(&rig, &server, "every 5").await;
    let alert = rig
        .until("an alert", async || {
            rig.letters()
                .into_iter()
                .find(|letter| letter.subject.contains("can't be polled"))
        })
        .await;
    assert_eq!(alert.recipients, ["root@example.localhost"]);
    alert.assert_says("login was refused");
    let status = rig.status().await;
    assert_eq!(status["mailboxes"][0]["state"]["login_refused"], true);
    assert!(rig.faxpost(&["status"]).contains("login refused"));
    let check = rig.faxpost_fails(&["check"]);
    assert!(
        check.contains("mailbox scans") && check.contains("login was refused"),
        "{check}"
    );
    // The right password is taken up at once, whatever the pause was.
    rig.admin("set mailbox scans password new");
    wait_folder(&rig, &server, "Faxed", 1).await;
    rig.wait_report("Waits").await;
    assert_eq!(
        rig.letters()
            .iter()
            .filter(|letter| letter.subject.contains("can't be polled"))
            .count(),
        1
    );
    assert!(!rig.logs().contains("secret ") && !rig.logs().contains("password new"));
    rig.stop().await;
}

/// A token endpoint that gives these answers in turn, the last one for ever.
async fn tokens(answers: Vec<(u16, &'static str)>) -> (u16, http::Asked) {
    let mut answers = std::collections::VecDeque::from(answers);
    http::serve(move |_, _| {
        let (status, body) = match answers.len() {
            1 => answers[0],
            _ => answers.pop_front().unwrap(),
        };
        (status, body.to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_is_opened_with_tokens_that_are_renewed() {
    let server = ImapServer::start().await;
    server.with(|state| state.passwords = vec!["good-2".into(), "good-3".into()]);
    server.append(&mail("By token", &to_far()));
    let (port, asked) = tokens(vec![
        (
            200,
            r#"{"access_token":"good-2","expires_in":61,"refresh_token":"fresh"}"#,
        ),
        (200, r#"{"access_token":"good-3","expires_in":3600}"#),
    ])
    .await;
    let mut rig = rig().start().await;
    add(
        &rig,
        &server,
        &format!("every 5 oauth http://127.0.0.1:{port}/token client us scope mail secret hush token first"),
    )
    .await;
    wait_folder(&rig, &server, "Faxed", 1).await;
    // The first one is over after a second; the next connection has another, by the refresh token that came with it.
    // A connection that is back within that second still has the first: that one is ended as well.
    let ended = std::cell::Cell::new(0);
    rig.until("another token", async || {
        let logins = server.with(|state| state.logins);
        if ended.replace(logins) < logins {
            server.kick();
        }
        (asked.lock().unwrap().len() >= 2).then_some(())
    })
    .await;
    server.append(&mail("By another", &to_far()));
    wait_folder(&rig, &server, "Faxed", 2).await;
    let asked = asked.lock().unwrap().clone();
    assert!(
        asked[0].1.contains("refresh_token=first") && asked[0].1.contains("client_secret=hush"),
        "{asked:?}"
    );
    assert!(asked[1].1.contains("refresh_token=fresh"), "{asked:?}");
    rig.wait_reports(2).await;
    rig.stop().await;
    let database = std::fs::read(rig.data_dir().join("faxpost.db")).unwrap_or_default();
    for secret in [&b"hush"[..], b"fresh", b"good-2"] {
        assert!(
            !database
                .windows(secret.len())
                .any(|window| window == secret)
        );
        assert!(!rig.logs().contains(std::str::from_utf8(secret).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_server_does_not_take_is_told() {
    let server = ImapServer::start().await;
    let (port, _) = tokens(vec![(200, r#"{"access_token":"bad","expires_in":3600}"#)]).await;
    let mut rig = rig().start().await;
    add(
        &rig,
        &server,
        &format!("every 5 oauth http://127.0.0.1:{port}/token client us token first"),
    )
    .await;
    let refused = async |words: &str| {
        rig.until("a refused login", async || {
            Some(rig.admin("show mailbox scans")).filter(|shown| shown.contains(words))
        })
        .await
    };
    let shown = refused("login refused").await;
    assert!(shown.contains("\"status\":\"401\""), "{shown}");
    let (port, _) = tokens(vec![(
        400,
        r#"{"error":"invalid_grant","error_description":"revoked"}"#,
    )])
    .await;
    rig.admin(&format!(
        "set mailbox scans oauth http://127.0.0.1:{port}/token client us"
    ));
    refused("gives no token: invalid_grant revoked").await;
    tokio::time::timeout(Duration::from_secs(60), rig.stop())
        .await
        .unwrap();
}
