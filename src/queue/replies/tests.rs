use super::*;
use crate::{
    clock::now_ms,
    queue::testing::{self, Fax, Made},
    store::testing::on_each_database,
    tokens::NewToken,
    vault::Vault,
};

const APPROVER: &str = "boss@example.com";

fn tokens() -> (tempfile::TempDir, Tokens) {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(&Vault::open(dir.path()).unwrap()).unwrap();
    (dir, tokens)
}

async fn token(store: &Store, tokens: &Tokens, made: &Made, action: &str, address: &str) -> Token {
    let drawn = tokens
        .draw(NewToken {
            tenant_id: "t".into(),
            action: action.into(),
            subject: made.submission_id.clone(),
            address: address.into(),
            expires_at: now_ms() + 60_000,
        })
        .unwrap();
    let mut tx = store.begin().await.unwrap();
    tokens.record(&mut tx, &drawn).await.unwrap();
    tx.commit().await.unwrap();
    let read = tokens.read(store, drawn.text()).await.unwrap();
    read.unwrap()
}

/// Two jobs of one submission that are kept back, and another's.
async fn parked(store: &Store, approver: Option<&str>) -> (Made, Made) {
    let to = vec!["+331", "+332"];
    let made = testing::submit(
        store,
        &Fax {
            to,
            ..Fax::default()
        },
    )
    .await;
    let other = testing::submit(
        store,
        &Fax {
            to: vec!["+333"],
            ..Fax::default()
        },
    )
    .await;
    testing::all_become(store, State::Parked).await;
    if let Some(approver) = approver {
        testing::run(store, &format!("UPDATE job SET approver = '{approver}'")).await;
    }
    (made, other)
}

async fn owed(store: &Store) -> Vec<(String, String)> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT purpose, recipient FROM outbox ORDER BY mail_id")
            .fetch_all(store.reader())
            .await
            .unwrap();
    let kind = |purpose: String| {
        let all: Vec<&str> = purpose.split(':').collect();
        match all.as_slice() {
            ["answer", done, _, who, _] => format!("{done} {who}"),
            _ => all[0].to_owned(),
        }
    };
    rows.into_iter()
        .map(|(purpose, to)| (kind(purpose), to))
        .collect()
}

async fn states(store: &Store, made: &Made) -> Vec<State> {
    let mut all = Vec::new();
    for job in &made.jobs {
        all.push(testing::state(store, job).await);
    }
    all
}

on_each_database! {
    async fn promise_2_a_word_lets_go_what_waits_for_it_and_nothing_else(store) {
        let (_dir, tokens) = tokens();
        let (made, other) = parked(&store, None).await;
        let token = token(&store, &tokens, &made, actions::CONFIRM, "a@b").await;
        let done = reply(&store, &tokens, &token, Word::Send, "h").await.unwrap();
        assert_eq!(done, Ok(Replied { done: Done::Released, faxes: 2 }));
        assert_eq!(states(&store, &made).await, [State::Ready, State::Ready]);
        assert_eq!(states(&store, &other).await, [State::Parked]);
        assert_eq!(owed(&store).await, [("released own".to_owned(), "a@b".to_owned())]);
        // It has a day from now on, and its token has served.
        let least: i64 = sqlx::query_scalar("SELECT CAST(MIN(deadline) AS BIGINT) FROM job WHERE state = 'ready'")
            .fetch_one(store.reader())
            .await
            .unwrap();
        assert!(least > now_ms() + 23 * 3_600_000);
        for word in [Word::Send, Word::Cancel] {
            let again = reply(&store, &tokens, &token, word, "h").await.unwrap();
            assert_eq!(again, Err(NoEffect::Used));
        }
    }

    async fn promise_7_a_reply_calls_off_what_waits_and_the_report_is_owed(store) {
        let (_dir, tokens) = tokens();
        let (made, other) = parked(&store, None).await;
        let token = token(&store, &tokens, &made, actions::CONFIRM, "a@b").await;
        let done = reply(&store, &tokens, &token, Word::Cancel, "h").await.unwrap();
        assert_eq!(done, Ok(Replied { done: Done::Cancelled, faxes: 2 }));
        assert_eq!(states(&store, &made).await, [State::Cancelled, State::Cancelled]);
        assert_eq!(states(&store, &other).await, [State::Parked]);
        let kinds: Vec<String> = owed(&store).await.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["report", "cancelled own"]);
    }

    async fn promise_4_only_the_approver_lets_go_what_needs_one(store) {
        let (_dir, tokens) = tokens();
        let (made, _) = parked(&store, Some(APPROVER)).await;
        // Neither a mail that asks no question, nor the question to a sender, nor another approver's.
        for (action, address, why) in [
            (actions::UNDER_WAY, "a@b", NoEffect::NoQuestion),
            (actions::CONFIRM, "a@b", NoEffect::NotParked),
            (actions::APPROVE, "other@example.com", NoEffect::NotParked),
        ] {
            let token = token(&store, &tokens, &made, action, address).await;
            let done = reply(&store, &tokens, &token, Word::Send, "h").await.unwrap();
            assert_eq!(done, Err(why));
            assert_eq!(states(&store, &made).await, [State::Parked, State::Parked]);
        }
        assert_eq!(owed(&store).await, []);
        let token = token(&store, &tokens, &made, actions::APPROVE, APPROVER).await;
        let done = reply(&store, &tokens, &token, Word::Send, "h").await.unwrap();
        assert_eq!(done, Ok(Replied { done: Done::Released, faxes: 2 }));
        assert_eq!(states(&store, &made).await, [State::Ready, State::Ready]);
        let told = [("released own".to_owned(), APPROVER.to_owned()), ("released other".to_owned(), "a@b".to_owned())];
        assert_eq!(owed(&store).await, told);
    }

    async fn an_approver_calls_off_only_what_waits_for_them(store) {
        let (_dir, tokens) = tokens();
        let (made, _) = parked(&store, Some(APPROVER)).await;
        testing::run(&store, &format!("UPDATE job SET state = 'ready' WHERE job_id = '{}'", made.jobs[0])).await;
        let approve = token(&store, &tokens, &made, actions::APPROVE, APPROVER).await;
        let done = reply(&store, &tokens, &approve, Word::Cancel, "h").await.unwrap();
        assert_eq!(done, Ok(Replied { done: Done::Cancelled, faxes: 1 }));
        assert_eq!(states(&store, &made).await, [State::Ready, State::Cancelled]);
        // The sender may call off the rest, whoever was asked.
        let own = token(&store, &tokens, &made, actions::UNDER_WAY, "a@b").await;
        let done = reply(&store, &tokens, &own, Word::Cancel, "h").await.unwrap();
        assert_eq!(done, Ok(Replied { done: Done::Cancelled, faxes: 1 }));
        let own = token(&store, &tokens, &made, actions::UNDER_WAY, "a@b").await;
        assert_eq!(reply(&store, &tokens, &own, Word::Cancel, "h").await.unwrap(), Err(NoEffect::Over));
        // What did nothing may be tried again.
        assert!(tokens.consume(&mut store.begin().await.unwrap(), &own).await.unwrap());
    }

    async fn promise_3_of_two_replies_at_once_one_counts(store) {
        let (_dir, tokens) = tokens();
        let (made, _) = parked(&store, None).await;
        let token = token(&store, &tokens, &made, actions::CONFIRM, "a@b").await;
        let both = [Word::Send, Word::Cancel, Word::Send, Word::Cancel].map(|word| {
            let (store, tokens, token) = (store.clone(), tokens.clone(), token.clone());
            tokio::spawn(async move { reply(&store, &tokens, &token, word, "h").await.unwrap() })
        });
        let mut done = 0;
        for one in both {
            match one.await.unwrap() {
                Ok(_) => done += 1,
                Err(why) => assert_eq!(why, NoEffect::Used),
            }
        }
        assert_eq!(done, 1);
        let states = states(&store, &made).await;
        assert_eq!(states[0], states[1], "all or none");
        let answers = owed(&store).await.into_iter().filter(|(kind, _)| kind != "report").count();
        assert_eq!(answers, 1);
    }
}
