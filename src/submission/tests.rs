use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use super::*;
use crate::ledger::Subject;
use crate::sender::{Directory, DirectoryDown, FromLine, Peer, Person, Prover, SenderRules, Shown};
use crate::store::{
    Listener,
    blobs::{Blobs, Disk},
    new_id,
    testing::on_each_database,
};
use crate::vault::Vault;

/// Counts flushes, and fails writes when told.
#[derive(Default)]
struct Seen {
    flushes: AtomicUsize,
    full: AtomicBool,
}

struct WatchedDisk(Arc<Seen>);

impl Disk for WatchedDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        if self.0.full.load(SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write_all_at(bytes, offset)
    }
    fn flush(&self, file: &File) -> io::Result<()> {
        self.0.flushes.fetch_add(1, SeqCst);
        file.sync_data()
    }
}

const SAME_MAIL: SameMail = SameMail {
    window_s: 7200,
    without_message_id_s: 600,
};

struct Post {
    _dir: tempfile::TempDir,
    custody: Custody,
    seen: Arc<Seen>,
    submitter: Submitter,
    queue: Listener,
}

fn post(store: &Store) -> Post {
    post_with(store, Daily::default())
}

fn post_with(store: &Store, daily: Daily) -> Post {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Seen::default());
    let disk = Box::new(WatchedDisk(seen.clone()));
    let blobs = Blobs::open_on(&dir.path().join("blobs"), disk).unwrap();
    let custody = Custody::new(Vault::open(&dir.path().join("keys")).unwrap(), blobs);
    let tariffs =
        toml::from_str("held_pages = 10\n[[tariff]]\nname = 'all'\nprefix = ''\npage_price = 5")
            .unwrap();
    Post {
        submitter: Submitter::start(store.clone(), custody.clone(), tariffs, SAME_MAIL, daily),
        queue: store.listen(crate::store::Topic::Queue),
        custody,
        seen,
        _dir: dir,
    }
}

/// A directory in which everybody is this user.
struct Everybody(Person);

#[async_trait::async_trait]
impl Directory for Everybody {
    async fn person_by_address(&self, _: &str) -> Result<Option<Person>, DirectoryDown> {
        Ok(Some(self.0.clone()))
    }
}

async fn sender(tenant_id: &str, user_id: &str) -> VerifiedSender {
    let directory = Everybody(Person {
        tenant_id: tenant_id.to_owned(),
        user_id: user_id.to_owned(),
        group_id: "group".to_owned(),
        address: "ann@a.example".to_owned(),
    });
    let peer = Peer {
        address: Some([127, 0, 0, 1].into()),
        greeting: "here",
        login: None,
        certificate: None,
    };
    let prover = Prover::new(SenderRules::load(None).unwrap(), None);
    let claim = prover
        .claim(peer, "ann@a.example", &directory)
        .await
        .unwrap();
    let shown = Shown {
        message: &Arc::default(),
        from: &[FromLine::Mailboxes(vec!["ann@a.example".to_owned()])],
        unnamed: &[],
        secrets: &[],
    };
    prover.prove(claim, shown, &directory).await.unwrap()
}

/// A Date line of now.
fn date() -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    format!("Date: {}", jiff::fmt::rfc2822::to_string(&now).unwrap())
}

/// Who sent this message: by the word of a relay that others could have as well, or from a listed network.
async fn sender_of(tenant_id: &str, text: &str, replayable: bool) -> VerifiedSender {
    let directory = Everybody(Person {
        tenant_id: tenant_id.to_owned(),
        user_id: "user".to_owned(),
        group_id: "group".to_owned(),
        address: "ann@a.example".to_owned(),
    });
    let rules = "fresh_s = 86400\n[[relay]]\nnetworks = ['192.0.2.1']\nauthserv_id = 'mx'\n\
         [[rule]]\nwho = ['*']\nproof = ['relay', 'network']\nnetworks = ['127.0.0.0/8']\n";
    let prover = Prover::new(SenderRules::parse(rules).unwrap(), None);
    let peer = Peer {
        address: (if replayable { "192.0.2.1" } else { "127.0.0.1" })
            .parse()
            .ok(),
        greeting: "here",
        login: None,
        certificate: None,
    };
    let claim = prover
        .claim(peer, "ann@a.example", &directory)
        .await
        .unwrap();
    let said = "Authentication-Results: mx; dmarc=pass header.from=a.example";
    let shown = Shown {
        message: &Arc::new(format!("{said}\r\n{text}").into_bytes()),
        from: &[FromLine::Mailboxes(vec!["ann@a.example".to_owned()])],
        unnamed: &[],
        secrets: &[],
    };
    prover.prove(claim, shown, &directory).await.unwrap()
}

async fn mail(tenant_id: &str, text: &str, to: &[&str]) -> NewSubmission {
    NewSubmission {
        submission_id: new_id(),
        letters: Vec::new(),
        told_by: Vec::new(),
        sender: sender(tenant_id, "user").await,
        door: Door::Smtp,
        reverse_path: "ann@a.example".to_owned(),
        envid: None,
        ret: Some("HDRS".to_owned()),
        message: text.as_bytes().to_vec(),
        message_id: None,
        subject: text.to_owned(),
        password: false,
        options: crate::options::Options::default(),
        recipients: to
            .iter()
            .map(|to| NewRecipient {
                destination: (*to).to_owned(),
                sub_address: None,
                given: format!("{to}@fax.example"),
                name: None,
                options: crate::options::Options::default(),
                notify: Some("SUCCESS".to_owned()),
                orcpt: None,
            })
            .collect(),
    }
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(store.reader())
        .await
        .unwrap()
}

fn a_day(user: u32, tenant: u32, number: u32) -> Daily {
    let of = |faxes_per_day| crate::policy::limits::Day {
        faxes_per_day,
        pages_per_day: 0,
    };
    Daily {
        user: of(user),
        guest: of(1),
        tenant: of(tenant),
        number,
    }
}

/// The limit that a mail went beyond.
fn over(accepted: Result<Accepted, AcceptError>) -> OverLimit {
    match accepted {
        Err(AcceptError::OverLimit(over)) => *over,
        other => panic!("{other:?}"),
    }
}

on_each_database! {
    async fn a_day_holds_so_many_faxes_and_what_is_refused_counts_nothing(store) {
        let post = post_with(&store, a_day(3, 0, 0));
        let tenant = new_id();
        let to = ["+33123456701", "+33123456702"];
        let _ = post.submitter.accept(mail(&tenant, "one", &to).await).await.unwrap();
        let refused = over(post.submitter.accept(mail(&tenant, "two", &to).await).await);
        assert_eq!((refused.limit, refused.left, refused.wanted), (3, 1, 2));
        assert_eq!(refused.trouble(), Trouble::Temporary);
        assert!(refused.again_at > crate::clock::now_ms());
        assert!(refused.to_string().contains("a user may send 3 faxes a day, and 1 is left"), "{refused}");
        // Refused once more when it comes again: it is not known as kept.
        let _ = over(post.submitter.accept(mail(&tenant, "two", &to).await).await);
        // A copy of what was accepted is no fax, and counts nothing.
        let again = post.submitter.accept(mail(&tenant, "one", &to).await).await.unwrap();
        assert_eq!((again.jobs.len(), again.again.len()), (0, 2));
        let _ = post.submitter.accept(mail(&tenant, "three", &to[..1]).await).await.unwrap();
        let refused = over(post.submitter.accept(mail(&tenant, "four", &to[..1]).await).await);
        assert_eq!(refused.left, 0);
        // What is kept already gets its 250 all the same: tomorrow it would be taken for a new one.
        let again = post.submitter.accept(mail(&tenant, "one", &to).await).await.unwrap();
        assert_eq!((again.jobs.len(), again.again.len()), (0, 2));
        // A mail that no day holds is refused for good.
        let many = ["+331", "+332", "+333", "+334"];
        let never = over(post.submitter.accept(mail(&tenant, "five", &many).await).await);
        assert_eq!(never.trouble(), Trouble::Permanent);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 3);
        let today = left_today(&store, &a_day(3, 0, 0), &tenant, "user").await.unwrap();
        assert_eq!(today.faxes, Left { limit: 3, used: 3 });
        assert_eq!((today.tenant_faxes.used, today.again_at), (0, refused.again_at));
        // Another user has their own share.
        let mut other = mail(&tenant, "six", &to).await;
        other.sender = sender(&tenant, "other").await;
        let _ = post.submitter.accept(other).await.unwrap();
    }

    async fn tenants_and_numbers_have_their_day_too(store) {
        let post = post_with(&store, a_day(0, 3, 2));
        let (north, south) = (new_id(), new_id());
        for text in ["one", "two"] {
            let _ = post.submitter.accept(mail(&north, text, &["+331"]).await).await.unwrap();
        }
        let refused = over(post.submitter.accept(mail(&north, "three", &["+331"]).await).await);
        assert_eq!(refused.subject, Subject::Number("+331".into()));
        let _ = post.submitter.accept(mail(&north, "four", &["+332"]).await).await.unwrap();
        let refused = over(post.submitter.accept(mail(&north, "five", &["+333"]).await).await);
        assert_eq!((refused.subject, refused.left), (Subject::Tenant, 0));
        let _ = post.submitter.accept(mail(&south, "one", &["+331"]).await).await.unwrap();
    }

    async fn many_at_once_do_not_pass_a_limit_together(store) {
        let post = post_with(&store, a_day(10, 0, 0));
        let tenant = new_id();
        let tasks: Vec<_> = (0..60).map(|n| {
            let (submitter, tenant) = (post.submitter.clone(), tenant.clone());
            tokio::spawn(async move { submitter.accept(mail(&tenant, &format!("mail {n}"), &["+331"]).await).await })
        }).collect();
        let mut accepted = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => accepted += 1,
                Err(AcceptError::OverLimit(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(accepted, 10);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 10);
        assert_eq!(count(&store, "SELECT CAST(SUM(faxes) AS BIGINT) FROM day_count").await, 10);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM accepted_mail").await, 10);
    }

    async fn pages_of_a_day_stop_what_comes_after_them(store) {
        let mut daily = a_day(0, 0, 0);
        daily.user.pages_per_day = 5;
        let post = post_with(&store, daily);
        let tenant = new_id();
        for (text, pages) in [("one", 3), ("two", 3)] {
            let accepted = post.submitter.accept(mail(&tenant, text, &["+331"]).await).await.unwrap();
            let mut tx = store.begin().await.unwrap();
            let _ = crate::ledger::settle(&mut tx, &tenant, &accepted.jobs[0], pages).await.unwrap();
            tx.commit().await.unwrap();
        }
        let refused = over(post.submitter.accept(mail(&tenant, "three", &["+331"]).await).await);
        assert_eq!((refused.unit, refused.limit, refused.left), (Unit::Pages, 5, 0));
        assert_eq!(refused.trouble(), Trouble::Temporary);
        let today = left_today(&store, &daily, &tenant, "user").await.unwrap();
        assert_eq!((today.pages.used, today.tenant_pages.used), (6, 6));
    }

    async fn a_guest_has_a_day_of_their_own(store) {
        let post = post_with(&store, a_day(0, 0, 0));
        let mut tx = store.begin().await.unwrap();
        let tenant = crate::people::NewTenant {
            name: "North".into(),
            language: crate::people::Language::En,
            time_zone: "Pacific/Auckland".into(),
        };
        let tenant = crate::people::create_tenant(&mut tx, &tenant).await.unwrap();
        tx.commit().await.unwrap();
        let group: String = sqlx::query_scalar("SELECT name FROM user_group WHERE tenant_id = $1")
            .bind(&tenant).fetch_one(store.reader()).await.unwrap();
        let guest = crate::people::guest(&store, "North", &group, "g@x.example").await.unwrap().unwrap();
        let from_guest = async |text: &str| {
            let mut mail = mail(&tenant, text, &["+331"]).await;
            mail.sender = sender(&tenant, &guest.user_id).await;
            mail
        };
        let _ = post.submitter.accept(from_guest("one").await).await.unwrap();
        let refused = over(post.submitter.accept(from_guest("two").await).await);
        assert!(refused.guest);
        assert!(refused.to_string().starts_with("a guest may send 1 fax a day"), "{refused}");
        assert_eq!(refused.time_zone, "Pacific/Auckland");
    }

    async fn accepted_is_kept(store) {
        let mut post = post(&store);
        let tenant = new_id();
        let accepted = post.submitter
            .accept(mail(&tenant, "hello\0", &["+33123456701", "+33123456702"]).await).await.unwrap();
        post.queue.heard().await;
        let row: (String, String, String, Vec<u8>) = sqlx::query_as(
            "SELECT custody_id, subject, door, digest FROM submission WHERE tenant_id = $1 AND submission_id = $2")
            .bind(&tenant).bind(&accepted.submission_id).fetch_one(store.reader()).await.unwrap();
        assert_eq!((row.1.as_str(), row.2.as_str()), ("hello\u{fffd}", "smtp"));
        assert_eq!(row.3, repeats::digest(b"hello\0"));
        assert_eq!(*post.custody.open(&store, &tenant, &row.0).await.unwrap(), b"hello\0");
        let jobs: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT job_id, destination, state, recipient FROM job WHERE tenant_id = $1 ORDER BY job_id")
            .bind(&tenant).fetch_all(store.reader()).await.unwrap();
        assert_eq!(jobs.iter().map(|job| &job.0).collect::<Vec<_>>(), accepted.jobs.iter().collect::<Vec<_>>());
        assert_eq!(jobs[1].1, "+33123456702");
        assert_eq!((jobs[0].2.as_str(), jobs[0].3.as_str()), ("queued", "+33123456701@fax.example"));
        let held = count(&store, "SELECT CAST(SUM(units) AS BIGINT) FROM hold WHERE settled IS NULL").await;
        assert_eq!(held, 2 * 10 * 5);
    }

    async fn many_at_once_share_flushes_and_all_are_there(store) {
        let post = post(&store);
        let tenant = new_id();
        let tasks: Vec<_> = (0..300).map(|n| {
            let (submitter, tenant) = (post.submitter.clone(), tenant.clone());
            tokio::spawn(async move { submitter.accept(mail(&tenant, &format!("mail {n}"), &["+331"]).await).await })
        }).collect();
        let mut ids = std::collections::HashSet::new();
        for task in tasks {
            ids.insert(task.await.unwrap().unwrap().submission_id);
        }
        assert_eq!(ids.len(), 300);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM submission").await, 300);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 300);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM hold").await, 300);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM custody").await, 300);
        let flushes = post.seen.flushes.load(SeqCst);
        assert!(flushes < 300, "{flushes} flushes");
    }

    async fn a_bad_submission_does_not_harm_the_others(store) {
        let post = post(&store);
        let tenant = new_id();
        // A rule that some of them break.
        let mut tx = store.begin().await.unwrap();
        sqlx::query("CREATE UNIQUE INDEX only_one_poison ON submission (user_id) WHERE user_id = 'poison'")
            .execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        let tasks: Vec<_> = (0..60).map(|n| {
            let submitter = post.submitter.clone();
            let user_id = if n % 10 == 0 { "poison" } else { "user" };
            let tenant = tenant.clone();
            tokio::spawn(async move {
                    let mut mail = mail(&tenant, &format!("m{n}"), &["+331"]).await;
                    mail.sender = sender(&tenant, user_id).await;
                    (n % 10 == 0, submitter.accept(mail).await)
                })
        }).collect();
        let (mut good, mut poison) = (0, 0);
        for task in tasks {
            match task.await.unwrap() {
                (false, result) => {
                    let _ = result.unwrap();
                    good += 1;
                }
                (true, Ok(_)) => poison += 1,
                (true, Err(error)) => assert_eq!(error.trouble(), Trouble::Permanent),
            }
        }
        assert_eq!((good, poison), (54, 1));
        assert_eq!(count(&store, "SELECT COUNT(*) FROM submission").await, 55);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 55);
    }

    async fn a_full_disk_is_temporary_and_leaves_nothing(store) {
        let post = post(&store);
        let tenant = new_id();
        post.seen.full.store(true, SeqCst);
        let error = post.submitter.accept(mail(&tenant, "m", &["+331"]).await).await.unwrap_err();
        assert_eq!(error.trouble(), Trouble::Temporary);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM submission").await, 0);
        post.seen.full.store(false, SeqCst);
        let _ = post.submitter.accept(mail(&tenant, "m", &["+331"]).await).await.unwrap();
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 1);
    }

    async fn promise_3_a_mail_that_comes_again_is_not_faxed_again(store) {
        let post = post(&store);
        let tenant = new_id();
        let again = |text: &str| {
            let trace = format!("Received: by us with ESMTP id {};\r\n\tnow\r\n", new_id());
            format!("{trace}{text}")
        };
        let send = async |text: &str, to: &[&str]| {
            let mut mail = mail(&tenant, &again(text), to).await;
            mail.message_id = Some("1@a.example".to_owned());
            post.submitter.accept(mail).await.unwrap()
        };
        let first = send("hello", &["+331", "+332"]).await;
        assert_eq!((first.jobs.len(), first.again.len()), (2, 0));
        let second = send("hello", &["+332", "+331"]).await;
        assert_eq!(second.submission_id, first.submission_id);
        assert_eq!((second.jobs.len(), second.again.len()), (0, 2));
        assert_eq!(count(&store, "SELECT COUNT(*) FROM submission").await, 1);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 2);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM hold").await, 2);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM custody").await, 1);

        // Some numbers are new: they alone make jobs, of a submission of their own.
        let third = send("hello", &["+331", "+333"]).await;
        assert_ne!(third.submission_id, first.submission_id);
        assert_eq!((third.jobs.len(), third.again.as_slice()), (1, [first.submission_id.clone()].as_slice()));
        let of_third: Vec<String> = sqlx::query_scalar(
            "SELECT destination FROM job WHERE tenant_id = $1 AND submission_id = $2")
            .bind(&tenant).bind(&third.submission_id).fetch_all(store.reader()).await.unwrap();
        assert_eq!(of_third, ["+333"]);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM hold").await, 3);
        let fourth = send("hello", &["+333"]).await;
        assert_eq!(fourth.submission_id, third.submission_id);

        // Another Message-ID or Date is another text, and another mail.
        assert_eq!(send("Hello", &["+331"]).await.jobs.len(), 1);
    }

    async fn promise_3_only_the_same_user_can_send_the_same_mail(store) {
        let post = post(&store);
        let tenant = new_id();
        let mut jobs = 0;
        for (tenant_id, user_id) in [(&tenant, "ann"), (&tenant, "bob"), (&new_id(), "ann")] {
            let mut mail = mail(tenant_id, "hello", &["+331"]).await;
            mail.sender = sender(tenant_id, user_id).await;
            jobs += post.submitter.accept(mail).await.unwrap().jobs.len();
        }
        assert_eq!(jobs, 3);
    }

    async fn promise_3_the_same_mail_many_times_at_once_is_faxed_once(store) {
        // Two writers: as two nodes have, or two batches that meet.
        let (one, other) = (post(&store), post(&store));
        let tenant = new_id();
        let numbers = ["+331", "+332", "+333", "+334"];
        let tasks: Vec<_> = (0..60).map(|n| {
            let submitter = [&one, &other][n % 2].submitter.clone();
            let tenant = tenant.clone();
            tokio::spawn(async move {
                // Each brings three of the four, in an order of its own.
                let to: Vec<&str> = (0..3).map(|k| numbers[(n * 3 + k * (1 + n % 2 * 2)) % 4]).collect();
                submitter.accept(mail(&tenant, "hello", &to).await).await
            })
        }).collect();
        let mut jobs = 0;
        for task in tasks {
            let accepted = task.await.unwrap().unwrap();
            assert_eq!(accepted.jobs.len() + accepted.again.len(), 3);
            jobs += accepted.jobs.len();
        }
        assert_eq!(jobs, 4);
        assert_eq!(count(&store, "SELECT COUNT(DISTINCT destination) FROM job").await, 4);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 4);
        let idle = "SELECT COUNT(*) FROM submission s WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.submission_id = s.submission_id)";
        assert_eq!(count(&store, idle).await, 0, "no submission without a job: its report would never come");
    }

    async fn promise_3_a_mail_is_the_same_for_a_while(store) {
        let post = post(&store);
        let tenant = new_id();
        let send = async |message_id: Option<&str>| {
            let mut mail = mail(&tenant, &format!("{message_id:?}"), &["+331"]).await;
            mail.message_id = message_id.map(str::to_owned);
            post.submitter.accept(mail).await.unwrap().jobs.len()
        };
        let spans = "SELECT CAST(MAX(expires_at - accepted_at) AS BIGINT) FROM accepted_mail";
        assert_eq!((send(None).await, send(None).await), (1, 0));
        assert_eq!(count(&store, spans).await, 600_000);
        assert_eq!((send(Some("1@x")).await, send(Some("1@x")).await), (1, 0));
        assert_eq!(count(&store, spans).await, 7_200_000);
        // The first's time is over; that of the second is not.
        let mut tx = store.begin().await.unwrap();
        sqlx::query("UPDATE accepted_mail SET expires_at = accepted_at WHERE expires_at - accepted_at = 600000")
            .execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((send(None).await, send(Some("1@x")).await), (1, 0));
        assert_eq!((send(None).await, send(Some("1@x")).await), (0, 0));
        repeats::forget(&store, crate::clock::now_ms() + 600_000).await.unwrap();
        assert_eq!(count(&store, "SELECT COUNT(*) FROM accepted_mail").await, 1);
    }

    async fn promise_4_a_copy_by_another_way_is_a_repeat(store) {
        let post = post(&store);
        let date = date();
        let text = |line: &str, body: &str| format!(
            "{line}From: ann@a.example\r\nTo: +331@fax\r\n{date}\r\n\r\n{body}");
        let tenant = new_id();
        let told = std::sync::Mutex::new(Vec::new());
        let send = async |line: &str, body: &str, replayable: bool| {
            let text = text(line, body);
            let mut mail = mail(&tenant, &text, &["+331"]).await;
            mail.sender = sender_of(&tenant, &text, replayable).await;
            let accepted = post.submitter.accept(mail).await.unwrap();
            told.lock().unwrap().push(accepted.copies.len());
            (accepted.submission_id, accepted.jobs.len())
        };
        // Proven by the connection; then a copy, in other lines, by what everybody has who got the mail.
        let (first, jobs) = send("X-Way: one\r\n", "a", false).await;
        assert_eq!(jobs, 1);
        assert_eq!(send("X-Way: two\r\n", "a", true).await, (first.clone(), 0));
        // The copy's own octets are known from then on, as the first's.
        assert_eq!(send("X-Way: two\r\n", "a", false).await, (first, 0));
        // The very octets again are told nobody; another's are.
        assert_eq!(send("X-Way: one\r\n", "a", false).await.1, 0);
        assert_eq!(*told.lock().unwrap(), [0, 1, 1, 0]);
        // The other way round: the copy was faster.
        let (first, jobs) = send("X-Way: one\r\n", "b", true).await;
        assert_eq!(jobs, 1);
        assert_eq!(send("X-Way: two\r\n", "b", false).await, (first.clone(), 0));
        assert_eq!(send("X-Way: three\r\n", "b", true).await, (first, 0));
        // Meant twice within a second, by who is known: two Message-IDs are two mails.
        assert_eq!(send("Message-ID: <1@a>\r\n", "c", false).await.1, 1);
        assert_eq!(send("Message-ID: <2@a>\r\n", "c", false).await.1, 1);
        let idle = "SELECT COUNT(*) FROM accepted_mail a WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.submission_id = a.submission_id)";
        assert_eq!(count(&store, idle).await, 0);
    }

    async fn promise_4_copies_that_come_at_once_are_faxed_once(store) {
        let (one, other) = (post(&store), post(&store));
        let (tenant, date) = (new_id(), date());
        let tasks: Vec<_> = (0..40).map(|n| {
            let submitter = [&one, &other][n % 2].submitter.clone();
            let (tenant, date) = (tenant.clone(), date.clone());
            tokio::spawn(async move {
                let text = format!("X-Way: {}\r\n{date}\r\n\r\nx", n / 4);
                let mut mail = mail(&tenant, &text, &["+331", "+332"]).await;
                mail.sender = sender_of(&tenant, &text, true).await;
                submitter.accept(mail).await
            })
        }).collect();
        for task in tasks {
            let _ = task.await.unwrap().unwrap();
        }
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 2);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM submission s WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.submission_id = s.submission_id)").await, 0);
    }

    async fn promise_3_rows_that_are_written_once_more_are_no_repeat(store) {
        // As after a commit whose answer was lost.
        let post = post(&store);
        let tenant = new_id();
        let mut all = Vec::new();
        for to in [&["+331", "+332"][..], &["+332", "+333"][..]] {
            let new = mail(&tenant, "hello", to).await;
            let digest = repeats::digest(b"hello");
            let item = NewItem { tenant_id: tenant.clone(), what: What::Message, bytes: b"hello".to_vec() };
            let sealed = post.custody.seal(item).await.unwrap();
            all.push(Prepared::new(new, digest, sealed, &post.submitter.tariffs, (SAME_MAIL, None)));
        }
        let (sealed, rows): (Vec<_>, Vec<_>) = all.into_iter().map(|one| (one.sealed, one.rows)).unzip();
        let kept = post.custody.flush(sealed.into_iter().flatten().collect()).await.unwrap();
        let kept: Vec<_> = kept.chunks(1).collect();
        let rows: Vec<_> = rows.iter().collect();
        let mut told = Vec::new();
        for _ in 0..2 {
            let mut tx = store.begin().await.unwrap();
            let claimed = repeats::claim(&mut tx, &rows).await.unwrap();
            told.push(rows::write(&mut tx, &post.custody, &rows, &claimed, &kept).await.unwrap());
            tx.commit().await.unwrap();
        }
        assert_eq!(told[0], told[1]);
        assert_eq!(told[0].iter().map(|one| one.jobs.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(told[0][1].again, [told[0][0].submission_id.clone()]);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM job").await, 3);
    }

    async fn promise_2_a_letter_is_owed_with_its_mail_and_once(store) {
        let post = post(&store);
        let tenant = new_id();
        for _ in 0..2 {
            let mut new = mail(&tenant, "hello", &["+331"]).await;
            new.message_id = Some("1@x".into());
            let mail = NewMail {
                tenant_id: tenant.clone(),
                purpose: format!("refusal:{}", new.submission_id),
                about: String::new(),
                message_id: "r@x".into(),
                return_path: String::new(),
                recipient: "ann@a.example".into(),
                deadline: crate::clock::now_ms() + 1_000_000,
            };
            new.letters.push(Letter { mail, bytes: b"refused".to_vec() });
            let _ = post.submitter.accept(new).await.unwrap();
        }
        let owed: Vec<(String, String)> = sqlx::query_as(
            "SELECT o.state, o.custody_id FROM outbox o JOIN submission s ON s.submission_id = o.about",
        )
        .fetch_all(store.reader())
        .await
        .unwrap();
        assert_eq!(owed.len(), 1, "the second mail is a repeat");
        assert_eq!(owed[0].0, "ready");
        let kept = post.custody.open(&store, &tenant, &owed[0].1).await.unwrap();
        assert_eq!(&kept[..], b"refused");
    }

    async fn a_mail_to_nobody_is_refused(store) {
        let post = post(&store);
        let error = post.submitter.accept(mail(&new_id(), "m", &[]).await).await.unwrap_err();
        assert!(matches!(error, AcceptError::NoRecipient));
    }
}
