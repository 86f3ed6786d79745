//! Two customers on one gateway: neither sees anything of the other's.

use faxpost::{
    numbers::{self, NewNumber},
    people::{self, Language, NewTenant, NewUser, Plan, Role},
};
use faxpost_t4::Resolution;

use crate::support::{ALICE, FAR_NUMBER, OUR_NUMBER, Rig, fax, letters};

const BOB: &str = "bob@south.localhost";
const BOBS_DOMAIN: &str = "fax.south.localhost";
const BOBS_NUMBER: &str = "+33199003344";
/// Not the number that the far end's machine calls itself, which every report names.
const ALICES_FAR_NUMBER: &str = "+33123456781";
const BOBS_FAR_NUMBER: &str = "+33123456780";

/// A second customer beside Alice's, with a domain, a number and a user; the tenant's id.
async fn second_tenant(rig: &Rig) -> String {
    let mut tx = rig.store.begin().await.unwrap();
    let tenant = NewTenant {
        name: "South".into(),
        language: Language::Fr,
        time_zone: "Europe/Paris".into(),
    };
    let tenant_id = people::create_tenant(&mut tx, &tenant).await.unwrap();
    people::add_domain(&mut tx, &tenant_id, BOBS_DOMAIN)
        .await
        .unwrap();
    let user = NewUser {
        tenant_id: tenant_id.clone(),
        address: BOB.into(),
        name: "Bob Durand".into(),
        group_id: None,
        role: Role::User,
        plan: Plan::SendReceive,
        language: None,
        caller_number: Some(BOBS_NUMBER.into()),
    };
    people::add_user(&mut tx, &user).await.unwrap();
    let number = NewNumber {
        group_id: people::default_group(&mut tx, &tenant_id).await.unwrap(),
        tenant_id: tenant_id.clone(),
        e164: BOBS_NUMBER.into(),
        title: "South desk".into(),
    };
    let number_id = numbers::add_number(&mut tx, &number).await.unwrap();
    numbers::add_recipient(&mut tx, &tenant_id, &number_id, BOB)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    tenant_id
}

fn bobs_message(subject: &str) -> Vec<u8> {
    format!(
        "From: Bob Durand <{BOB}>\r\nTo: {BOBS_FAR_NUMBER}@{BOBS_DOMAIN}\r\nSubject: {subject}\r\n\
         Message-ID: <{subject}@south.localhost>\r\n\r\nBonjour.\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tenants_share_a_gateway_and_see_nothing_of_each_other() {
    let mut rig = Rig::builder().channels(2).start().await;
    let south = second_tenant(&rig).await;

    // A mail becomes a fax, for each.
    rig.mail(
        &[ALICES_FAR_NUMBER],
        &letters::message("North", "Hello.", &[]),
    )
    .await;
    let to = format!("{BOBS_FAR_NUMBER}@{BOBS_DOMAIN}");
    let answers = rig.try_mail(BOB, &[&to], &bobs_message("South")).await;
    assert!(
        answers
            .data
            .as_deref()
            .unwrap_or_default()
            .starts_with("250"),
        "{answers:?}"
    );
    let (north_report, south_report) = (
        rig.wait_report("North").await,
        rig.wait_report("South").await,
    );
    assert_eq!(north_report.recipients, [ALICE]);
    assert_eq!(south_report.recipients, [BOB]);
    north_report.assert_says(&format!("{ALICES_FAR_NUMBER}: sent"));
    assert_eq!(
        south_report.subject,
        format!("Envoyé\u{a0}: South (1 page, {BOBS_FAR_NUMBER})")
    );
    for (report, others) in [
        (&north_report, [BOBS_FAR_NUMBER, BOBS_NUMBER, BOB, "South"]),
        (
            &south_report,
            [ALICES_FAR_NUMBER, OUR_NUMBER, ALICE, "North"],
        ),
    ] {
        for word in others {
            assert!(
                !report.text.contains(word),
                "{word} is in:\n{}",
                report.text
            );
        }
    }
    // Each fax shows its sender's number as the caller.
    for (tenant, local) in [(&rig.tenant_id, OUR_NUMBER), (&south, BOBS_NUMBER)] {
        let numbers: Vec<String> =
            sqlx::query_scalar("SELECT local_number FROM call WHERE tenant_id = $1")
                .bind(tenant)
                .fetch_all(rig.store.reader())
                .await
                .unwrap();
        assert_eq!(numbers, [local]);
    }

    // A fax becomes a mail, for each.
    for (number, recipient, count) in [(OUR_NUMBER, ALICE, 1), (BOBS_NUMBER, BOB, 2)] {
        let pages = [fax::page(count, Resolution::Standard, 1143)];
        let mut sender = rig.call_in_to(number, &pages, &[]);
        assert!(sender.wait().await.success(), "{}", sender.log());
        let faxes = rig.wait_faxes(count).await;
        assert_eq!(faxes.len(), count);
        let letter = faxes.last().unwrap();
        assert_eq!(letter.recipients, [recipient]);
        letter.assert_says(number);
        let mailed = fax::pdf_pages(&letter.pdf()).remove(0).picture;
        fax::assert_same(&pages, &[mailed]);
    }

    // What is in custody for one can't be opened in the other's name.
    let custody = rig.custody();
    let items: Vec<(String, String)> = sqlx::query_as("SELECT tenant_id, custody_id FROM custody")
        .fetch_all(rig.store.reader())
        .await
        .unwrap();
    for (owner, item) in &items {
        let other = if *owner == south {
            &rig.tenant_id
        } else {
            &south
        };
        assert!(custody.open(&rig.store, owner, item).await.is_ok());
        assert!(
            custody.open(&rig.store, other, item).await.is_err(),
            "{item} of {owner}"
        );
    }
    assert!(items.iter().any(|(owner, _)| *owner == south));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_nobody_sends_through_anothers_domain_or_name() {
    let rig = Rig::builder().without_far_end().start().await;
    second_tenant(&rig).await;
    let denied = |domain: &str| {
        format!(
            "550 5.7.1 relaying denied: {domain} is not a fax domain of your organisation; mail for people \
             goes through your own mail server"
        )
    };
    for (from, domain) in [(ALICE, BOBS_DOMAIN), (BOB, "fax.localhost")] {
        let to = format!("{FAR_NUMBER}@{domain}");
        let answers = rig
            .try_mail(from, &[&to], &letters::message("Over there", "Text.", &[]))
            .await;
        assert_eq!(answers.rcpt, [denied(domain)]);
        assert_eq!(answers.data, None);
    }
    // Bob's envelope with Alice's From line, and the other way round.
    let to = format!("{FAR_NUMBER}@{BOBS_DOMAIN}");
    let answers = rig
        .try_mail(BOB, &[&to], &letters::message("As Alice", "Text.", &[]))
        .await;
    let data = answers.data.unwrap_or_default();
    assert!(
        data.starts_with("550 5.7.1") && data.contains(ALICE),
        "{data}"
    );
    let answers = rig
        .try_mail(ALICE, &[FAR_NUMBER], &bobs_message("As Bob"))
        .await;
    let data = answers.data.unwrap_or_default();
    assert!(
        data.starts_with("550 5.7.1") && data.contains(BOB),
        "{data}"
    );
    assert_eq!(
        rig.count("SELECT CAST(COUNT(*) AS BIGINT) FROM job").await,
        0
    );
}
