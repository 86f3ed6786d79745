use super::*;
use crate::store::testing::on_each_database;

fn tokens(dir: &std::path::Path) -> Tokens {
    Tokens::open(&Vault::open(dir).unwrap()).unwrap()
}

fn new(expires_at: Millis) -> NewToken {
    NewToken {
        tenant_id: "T".into(),
        action: "parked".into(),
        subject: "S".into(),
        address: "Ada@Example.com".into(),
        expires_at,
    }
}

async fn recorded(store: &Store, tokens: &Tokens, expires_at: Millis) -> String {
    let drawn = tokens.draw(new(expires_at)).unwrap();
    let mut tx = store.begin().await.unwrap();
    tokens.record(&mut tx, &drawn).await.unwrap();
    tx.commit().await.unwrap();
    drawn.text().to_owned()
}

#[test]
fn a_tag_is_of_its_text_and_its_purpose() {
    let dir = tempfile::tempdir().unwrap();
    let tokens_here = tokens(dir.path());
    let tag = tokens_here.tag("bounce", "x@example.com");
    assert_eq!(tag.len(), 16);
    assert!(tokens(dir.path()).verify("bounce", "x@example.com", &tag.to_uppercase()));
    assert!(!tokens_here.verify("bounce", "y@example.com", &tag));
    assert!(!tokens_here.verify("other", "x@example.com", &tag));
    for wrong in ["", "a", &tag[..8], "ä", "11111111"] {
        assert!(
            !tokens_here.verify("bounce", "x@example.com", wrong),
            "{wrong}"
        );
    }
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(!tokens(elsewhere.path()).verify("bounce", "x@example.com", &tag));
}

on_each_database! {
    async fn promise_4_a_token_is_known_whatever_its_case_and_after_a_restart(store) {
        let dir = tempfile::tempdir().unwrap();
        let text = recorded(&store, &tokens(dir.path()), now_ms() + 60_000).await;
        assert_eq!(text.len(), LETTERS);
        assert!("approve+".len() + LETTERS <= 64, "RFC 5321: a local part");
        for text in [text.clone(), text.to_uppercase()] {
            let token = tokens(dir.path()).read(&store, &text).await.unwrap().unwrap();
            assert_eq!(
                (token.action.as_str(), token.subject.as_str(), token.address.as_str()),
                ("parked", "S", "ada@example.com")
            );
        }
        // Another key, another code, another nonce.
        let elsewhere = tempfile::tempdir().unwrap();
        let read = tokens(elsewhere.path()).read(&store, &text).await.unwrap();
        assert_eq!(read, Err(Invalid::Unknown));
        let swap = |at: usize| {
            let mut octets = text.clone().into_bytes();
            octets[at] = if octets[at] == b'a' { b'b' } else { b'a' };
            String::from_utf8(octets).unwrap()
        };
        for wrong in [swap(0), swap(17), swap(LETTERS - 1), String::new(), "1".repeat(LETTERS), "é".repeat(24)] {
            let read = tokens(dir.path()).read(&store, &wrong).await.unwrap();
            assert_eq!(read, Err(Invalid::Unknown), "{wrong}");
        }
    }

    async fn promise_4_a_row_that_was_changed_fits_no_token(store) {
        let dir = tempfile::tempdir().unwrap();
        for column in ["action", "subject", "address", "tenant_id"] {
            let text = recorded(&store, &tokens(dir.path()), now_ms() + 60_000).await;
            let mut tx = store.begin().await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE token SET {column} = 'eve'")))
                .execute(tx.conn())
                .await
                .unwrap();
            tx.commit().await.unwrap();
            let read = tokens(dir.path()).read(&store, &text).await.unwrap();
            assert_eq!(read, Err(Invalid::Unknown), "{column}");
        }
        let text = recorded(&store, &tokens(dir.path()), now_ms() - 1).await;
        let mut tx = store.begin().await.unwrap();
        sqlx::query("UPDATE token SET expires_at = expires_at + 60000").execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(tokens(dir.path()).read(&store, &text).await.unwrap(), Err(Invalid::Unknown));
    }

    async fn promise_3_of_many_that_use_a_token_at_once_one_does(store) {
        let dir = tempfile::tempdir().unwrap();
        let tokens = tokens(dir.path());
        let text = recorded(&store, &tokens, now_ms() + 60_000).await;
        let token = tokens.read(&store, &text).await.unwrap().unwrap();
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let (store, tokens, token) = (store.clone(), tokens.clone(), token.clone());
                tokio::spawn(async move {
                    let mut tx = store.begin().await.unwrap();
                    let done = tokens.consume(&mut tx, &token).await.unwrap();
                    tx.commit().await.unwrap();
                    done
                })
            })
            .collect();
        let mut done = 0;
        for one in tries {
            done += u32::from(one.await.unwrap());
        }
        assert_eq!(done, 1);
        assert_eq!(tokens.read(&store, &text).await.unwrap(), Err(Invalid::Used));
    }

    async fn a_token_that_was_not_used_after_all_is_good(store) {
        let dir = tempfile::tempdir().unwrap();
        let tokens = tokens(dir.path());
        let text = recorded(&store, &tokens, now_ms() + 60_000).await;
        let token = tokens.read(&store, &text).await.unwrap().unwrap();
        let mut tx = store.begin().await.unwrap();
        assert!(tokens.consume(&mut tx, &token).await.unwrap());
        tx.roll_back().await.unwrap();
        assert!(tokens.read(&store, &text).await.unwrap().is_ok());
        let mut tx = store.begin().await.unwrap();
        revoke(&mut tx, "T", "S").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(tokens.read(&store, &text).await.unwrap(), Err(Invalid::Used));
    }

    async fn promise_7_a_token_ends_and_is_forgotten(store) {
        let dir = tempfile::tempdir().unwrap();
        let tokens = tokens(dir.path());
        let late = recorded(&store, &tokens, now_ms() - 1).await;
        let old = recorded(&store, &tokens, now_ms() - 40 * 86_400_000).await;
        assert_eq!(tokens.read(&store, &late).await.unwrap(), Err(Invalid::Expired));
        sweep(&store).await.unwrap();
        assert_eq!(tokens.read(&store, &late).await.unwrap(), Err(Invalid::Expired));
        assert_eq!(tokens.read(&store, &old).await.unwrap(), Err(Invalid::Unknown));
    }
}
