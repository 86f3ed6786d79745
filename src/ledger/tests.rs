use super::*;
use crate::store::{Store, StoreError, new_id, testing::on_each_database};

fn tariff(page_price: u32) -> Tariff {
    Tariff {
        name: "t".to_owned(),
        prefix: String::new(),
        page_price,
    }
}

async fn held(store: &Store, tenant: &str, job: &str, page_price: u32) {
    let mut tx = store.begin().await.unwrap();
    let new = NewHold::of(&tariff(page_price), 10, tenant, "group", "user", job);
    hold(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
}

on_each_database! {
    async fn you_pay_for_confirmed_pages_only(store) {
        let tenant = new_id();
        held(&store, &tenant, "job", 1500).await;
        held(&store, &tenant, "none", 1500).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(settle(&mut tx, &tenant, "job", 3).await.unwrap(), Settlement::Now(4500));
        assert_eq!(settle(&mut tx, &tenant, "none", 0).await.unwrap(), Settlement::Now(0));
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        assert_eq!(settle(&mut tx, &tenant, "job", 9).await.unwrap(), Settlement::Before(4500));
        let other = settle(&mut tx, &new_id(), "job", 1).await;
        assert!(matches!(other, Err(StoreError::Missing("hold"))));
    }

    async fn a_job_is_held_for_once(store) {
        let tenant = new_id();
        held(&store, &tenant, "job", 1).await;
        let mut tx = store.begin().await.unwrap();
        let again = hold(&mut tx, &NewHold::of(&tariff(1), 1, &tenant, "g", "u", "job")).await;
        assert!(again.unwrap_err().is_unique_violation());
    }

    async fn of_many_that_settle_a_job_one_does(store) {
        let tenant = new_id();
        held(&store, &tenant, "job", 2).await;
        let tasks: Vec<_> = (1..=12u32).map(|pages| {
            let (store, tenant) = (store.clone(), tenant.clone());
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                let settled = settle(&mut tx, &tenant, "job", pages).await.unwrap();
                tx.commit().await.unwrap();
                settled
            })
        }).collect();
        let (mut now, mut before) = (Vec::new(), Vec::new());
        for task in tasks {
            match task.await.unwrap() {
                Settlement::Now(units) => now.push(units),
                Settlement::Before(units) => before.push(units),
            }
        }
        assert_eq!((now.len(), before.len()), (1, 11));
        assert!(before.iter().all(|units| *units == now[0]));
    }
}
