use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use super::*;
use crate::sender::{Directory, DirectoryDown, Peer, Person, SenderRules, claim};
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

struct Post {
    _dir: tempfile::TempDir,
    custody: Custody,
    seen: Arc<Seen>,
    submitter: Submitter,
    queue: Listener,
}

fn post(store: &Store) -> Post {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Seen::default());
    let disk = Box::new(WatchedDisk(seen.clone()));
    let blobs = Blobs::open_on(&dir.path().join("blobs"), disk).unwrap();
    let custody = Custody::new(Vault::open(&dir.path().join("keys")).unwrap(), blobs);
    let tariffs =
        toml::from_str("held_pages = 10\n[[tariff]]\nname = 'all'\nprefix = ''\npage_price = 5")
            .unwrap();
    Post {
        submitter: Submitter::start(store.clone(), custody.clone(), tariffs),
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
        address: [127, 0, 0, 1].into(),
        login: None,
    };
    let rules = SenderRules::load(None).unwrap();
    let claim = claim(&rules, peer, "ann@a.example", &directory)
        .await
        .unwrap();
    let from = [vec!["ann@a.example".to_owned()]];
    claim.prove(&from, &directory).await.unwrap()
}

async fn mail(tenant_id: &str, text: &str, to: &[&str]) -> NewSubmission {
    NewSubmission {
        sender: sender(tenant_id, "user").await,
        door: Door::Smtp,
        reverse_path: "ann@a.example".to_owned(),
        envid: None,
        ret: Some("HDRS".to_owned()),
        message: text.as_bytes().to_vec(),
        message_id: None,
        subject: text.to_owned(),
        recipients: to
            .iter()
            .map(|to| NewRecipient {
                destination: (*to).to_owned(),
                given: format!("{to}@fax.example"),
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

on_each_database! {
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
        assert_eq!(row.3, rows::digest(b"hello\0"));
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
                    let mut mail = mail(&tenant, "m", &["+331"]).await;
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

    async fn a_mail_to_nobody_is_refused(store) {
        let post = post(&store);
        let error = post.submitter.accept(mail(&new_id(), "m", &[]).await).await.unwrap_err();
        assert!(matches!(error, AcceptError::NoRecipient));
    }
}
