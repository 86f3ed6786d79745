use crate::{
    numbers::{self, NumbersIn, Security},
    people::{self, Language, NewTenant},
    store::{Store, testing::on_each_database},
    vault::Vault,
};

async fn house(store: &Store) -> tempfile::TempDir {
    let mut tx = store.begin().await.unwrap();
    for name in ["Main", "North"] {
        let tenant = NewTenant {
            name: name.into(),
            language: Language::En,
            time_zone: "UTC".into(),
        };
        people::create_tenant(&mut tx, &tenant).await.unwrap();
    }
    tx.commit().await.unwrap();
    tempfile::tempdir().unwrap()
}

on_each_database! {
    async fn a_mailbox_is_added_changed_shown_and_removed(store) {
        let keys = house(&store).await;
        let run = async |line: &str| crate::command::testing::run(&store, keys.path(), line, &[]).await;
        let added = run(
            "add mailbox scans host imap.example.com login Scan@example.com of North password hush numbers subject \
             believes MX.example.com owner ada@example.com every 30 faxed \"Done & sent\"",
        ).await.unwrap();
        for words in ["imap.example.com:993, security tls", "with a password", "mails to scan@example.com", "mx.example.com",
            "ada@example.com", "every 30 s, and at once by IDLE", "Done & sent"] {
            assert!(added.contains(words), "{words}: {added}");
        }
        assert!(!added.contains("hush"), "{added}");
        let vault = Vault::open(keys.path()).unwrap();
        let kept = numbers::mailbox_by_name(&store, "scans").await.unwrap().unwrap();
        assert_eq!(kept.unseal(&vault).unwrap().password.as_deref(), Some("hush"));
        assert_eq!((kept.numbers, kept.security), (NumbersIn::Subject, Security::Tls));

        let set = run("set mailbox scans off oauth https://login.example.com/token client us secret s3 token t4 scope mail \
             security starttls every none idle off").await.unwrap();
        assert!(set.starts_with("mailbox scans is off"), "{set}");
        assert!(set.contains("by XOAUTH2 with tokens of https://login.example.com/token for the client us"), "{set}");
        assert!(set.contains("imap.example.com:143") && !set.contains("s3") && !set.contains("t4"), "{set}");
        let kept = numbers::mailbox_by_name(&store, "scans").await.unwrap().unwrap();
        let credentials = kept.unseal(&vault).unwrap();
        assert_eq!(credentials.password.as_deref(), Some("hush"));
        assert_eq!(credentials.client_secret.as_deref(), Some("s3"));
        assert_eq!(credentials.refresh_token.as_deref(), Some("t4"));
        assert!(!format!("{kept:?} {credentials:?}").contains("hush"));

        assert!(run("show mailbox scans").await.unwrap().contains("not polled yet"));
        assert!(run("show mailboxes").await.unwrap().contains("scans  scan@example.com  imap.example.com  off"));
        assert!(run("add mailbox scans host a login b@c").await.unwrap_err().contains("already"));
        assert!(run("remove mailbox scans").await.unwrap().contains("removed"));
        assert_eq!(run("show mailboxes").await.unwrap(), "none");
        assert!(run("show mailbox scans").await.unwrap_err().contains("there is no mailbox"));
    }

    async fn what_cannot_work_is_refused(store) {
        let keys = house(&store).await;
        for (line, words) in [
            ("host imap.example.com login a@b security none", "in the clear"),
            ("host imap.example.com login scanner", "address ADDRESS"),
            ("host imap.example.com login a@b faxed INBOX", "for ever"),
            ("host imap.example.com login a@b faxed a*", "without * and %"),
            ("host imap.example.com login a@b every 1", "every 5 to 1740"),
            ("host imap.example.com login a@b oauth http://example.com/t client x", "https"),
            ("host imap.example.com login a@b scope x", "goes with `oauth"),
            ("host im{ap login a@b", "is no host"),
            ("host imap.example.com login a@b loud", "expected host, port"),
        ] {
            let line = format!("add mailbox m {line}");
            let said = crate::command::testing::run(&store, keys.path(), &line, &[]).await.unwrap_err();
            assert!(said.contains(words), "{line}: {said}");
        }
        let line = "add mailbox m host 127.0.0.1 login a@b security none";
        crate::command::testing::run(&store, keys.path(), line, &[]).await.unwrap();
    }

    async fn promise_1_one_node_polls_a_mailbox(store) {
        let keys = house(&store).await;
        let line = "add mailbox m host 127.0.0.1 login a@b security none";
        crate::command::testing::run(&store, keys.path(), line, &[]).await.unwrap();
        let mailbox = numbers::mailbox_by_name(&store, "m").await.unwrap().unwrap();
        let lease = async |node: &str, now: i64| {
            numbers::lease_mailbox(&store, &mailbox, node, now, now + 100).await.unwrap()
        };
        assert!(lease("one", 0).await && lease("one", 50).await);
        assert!(!lease("two", 149).await);
        assert!(lease("two", 150).await && !lease("one", 151).await);
        numbers::release_mailbox(&store, &mailbox, "one").await.unwrap();
        assert!(!lease("one", 152).await, "another's lease is not ours to give up");
        numbers::release_mailbox(&store, &mailbox, "two").await.unwrap();
        assert!(lease("one", 153).await);
    }
}
