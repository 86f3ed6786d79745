use super::*;
use crate::{
    command::{Attachment, testing},
    people::{Language, NewTenant},
    store::{Store, testing::on_each_database},
};

async fn house(store: &Store) -> String {
    let mut tx = store.begin().await.unwrap();
    let tenant = NewTenant {
        name: "Main".into(),
        language: Language::En,
        time_zone: "Europe/Paris".into(),
    };
    let tenant_id = people::create_tenant(&mut tx, &tenant).await.unwrap();
    tx.commit().await.unwrap();
    tenant_id
}

async fn run(store: &Store, line: &str, files: &[&[u8]]) -> Result<String, String> {
    let attached: Vec<Attachment> = files
        .iter()
        .map(|bytes| Attachment {
            name: "file".into(),
            bytes: bytes.to_vec(),
        })
        .collect();
    testing::run(store, std::path::Path::new("/nowhere"), line, &attached).await
}

on_each_database! {
    async fn a_tenants_covers_have_its_company_and_footer(store) {
        let tenant_id = house(&store).await;
        let shown = run(&store, "show tenant Main", &[]).await.unwrap();
        assert!(shown.contains("company on covers: Main  (its name)\n  footer on covers: none"), "{shown}");
        let set = run(&store, "set tenant Main company \"Atelier Lumière\" footer \"12 rue X · Paris\"", &[])
            .await.unwrap();
        assert!(set.contains("company on covers: Atelier Lumière\n  footer on covers: 12 rue X · Paris"), "{set}");
        let renamed = run(&store, "set tenant Main name South company none", &[]).await.unwrap();
        assert!(renamed.contains("tenant South\n  company on covers: South  (its name)"), "{renamed}");
        let kept = people::branding(&store, &tenant_id).await.unwrap();
        assert_eq!((kept.company, kept.footer.as_deref(), kept.logo), (None, Some("12 rue X · Paris"), None));
        assert!(run(&store, "show tenant Main", &[]).await.is_err());
        let logo = vec![0x89, b'P', 0, 0xff];
        let mut tx = store.begin().await.unwrap();
        people::set_logo(&mut tx, &tenant_id, Some(logo.clone())).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(people::branding(&store, &tenant_id).await.unwrap().logo, Some(logo));
        let gone = run(&store, "remove logo of South", &[]).await.unwrap();
        assert!(gone.contains("South has no logo"), "{gone}");
        assert_eq!(people::branding(&store, &tenant_id).await.unwrap().logo, None);
    }

    async fn a_profile_names_covers_that_are_there(store) {
        let tenant_id = house(&store).await;
        let list = run(&store, "show covers of Main", &[]).await.unwrap();
        assert_eq!(list, "business  of the house\nconfidential  of the house\nplain  of the house");
        let error = run(&store, "set profile Basic cover summer", &[]).await.unwrap_err();
        assert!(error.contains("Main has no cover summer: `show covers` lists them"), "{error}");
        let mut tx = store.begin().await.unwrap();
        people::keep_cover(&mut tx, &tenant_id, "summer", "Sun").await.unwrap();
        people::keep_cover(&mut tx, &tenant_id, "summer", "Sunny").await.unwrap();
        tx.commit().await.unwrap();
        let set = run(&store, "set profile Basic cover summer body page", &[]).await.unwrap();
        assert!(set.contains("cover: summer  (Basic)\n  body: page  (Basic)"), "{set}");
        let list = run(&store, "show covers", &[]).await.unwrap();
        assert!(list.ends_with("\nsummer  of Main, 5 octets"), "{list}");
        assert_eq!(run(&store, "show cover summer", &[]).await.unwrap(), "Sunny");
        assert!(run(&store, "show cover plain", &[]).await.unwrap().contains("#let given"));
        let error = run(&store, "remove cover summer", &[]).await.unwrap_err();
        assert!(error.contains("used by the profile Basic"), "{error}");
        run(&store, "set profile Basic cover inherit", &[]).await.unwrap();
        run(&store, "remove cover summer", &[]).await.unwrap();
        assert!(run(&store, "remove cover summer", &[]).await.is_err());
        // The old words are still understood.
        let off = run(&store, "set profile Basic cover off", &[]).await.unwrap();
        assert!(off.contains("cover: none  (Basic)"), "{off}");
    }

    async fn what_can_be_seen_to_be_wrong_is_refused_before_it_is_drawn(store) {
        let tenant_id = house(&store).await;
        let large = vec![b' '; TEMPLATE_OCTETS + 1];
        let picture = vec![0; faxpost_paper::LOGO_OCTETS + 1];
        for (line, files, says) in [
            ("add cover summer", &[][..], "attach the template, a typst file, to the command"),
            ("add cover summer", &[&b"a"[..], b"b"], "2 files are attached"),
            ("add cover summer of Elsewhere", &[b"a"], "the name or the domain Elsewhere"),
            ("add cover Summer", &[b"a"], "can't be a cover's name; expected up to 40 small letters"),
            ("add cover none", &[b"a"], "can't be a cover's name"),
            ("add cover plain", &[b"a"], "plain is a cover of the house"),
            ("add cover summer", &[b"\xe9t\xe9"], "no UTF-8 text"),
            ("add cover summer", &[&large], "the template has 129 KB, and 128 KB are taken"),
            ("set logo", &[], "attach the logo"),
            ("set logo", &[&picture], "the logo has 513 KB, and 512 KB are taken"),
            ("set logo of Main please", &[b"a"], "the end of the line"),
            ("set tenant Main", &[], "nothing to set; expected name, company or footer"),
            ("set tenant Main colour red", &[], "name, company or footer"),
            ("set tenant Main footer \"\"", &[], "it is empty or too long"),
            ("set profile Basic cover A", &[], "none, plain, business"),
            ("set profile Basic body nowhere", &[], "cover, page or ignore"),
        ] {
            let error = run(&store, line, files).await.unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
        // What can't be tried just now is not kept either.
        let error = run(&store, "add cover summer", &[b"Sun"]).await.unwrap_err();
        assert!(error.contains("try again in a few minutes"), "{error}");
        assert!(people::own_covers(&store, &tenant_id).await.unwrap().is_empty());
    }

    async fn a_tenant_has_no_covers_without_number(store) {
        let tenant_id = house(&store).await;
        let mut tx = store.begin().await.unwrap();
        for number in 0..MOST_COVERS {
            people::keep_cover(&mut tx, &tenant_id, &format!("c{number}"), "x").await.unwrap();
        }
        tx.commit().await.unwrap();
        let error = run(&store, "add cover more", &[b"a"]).await.unwrap_err();
        assert!(error.contains("Main has 20 covers, which is the most"), "{error}");
    }
}
