use super::*;
use crate::{
    people::{Language, NewTenant},
    store::testing::on_each_database,
};

async fn house(store: &Store) -> String {
    let mut tx = store.begin().await.unwrap();
    let tenant = NewTenant {
        name: "Main".into(),
        language: Language::En,
        time_zone: "Europe/Paris".into(),
    };
    let tenant_id = people::create_tenant(&mut tx, &tenant).await.unwrap();
    people::add_domain(&mut tx, &tenant_id, "fax.main.example")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    tenant_id
}

async fn run(store: &Store, line: &str) -> Result<String, String> {
    crate::command::testing::run(store, std::path::Path::new("/nowhere"), line, &[]).await
}

on_each_database! {
    async fn a_profile_is_made_changed_shown_and_removed(store) {
        house(&store).await;
        let shown = run(&store, "show profile Basic").await.unwrap();
        for words in ["priority: 5  (sending.toml)", "busy: 180,180", "hours: always  (built in)", "allow: all",
                      "no-fax: 300  (sending.toml)", "hours are Europe/Paris's: faxes are called now"] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        run(&store, "set profile Basic of Main busy 60,120 deny +339,+3389 cover off").await.unwrap();
        let added = run(&store,
            "add profile Sales of fax.main.example priority 2 calls 3 no-fax none hours \"mon-fri 08:00-18:00\" \
             quiet \"12:00-13:00\" allow +33,+44").await.unwrap();
        for words in ["profile Sales of Main", "priority: 2  (Sales)", "calls: 3  (Sales)", "no-fax: none  (Sales)",
                      "hours: mon-fri 08:00-18:00  (Sales)", "quiet: 12:00-13:00  (Sales)",
                      "allow: +33,+44  (Sales)", "deny: +339,+3389  (Basic)", "busy: 60,120  (Basic)",
                      "cover: none  (Basic)", "tries: 3  (sending.toml)"] {
            assert!(added.contains(words), "{words}: {added}");
        }
        let list = run(&store, "show profiles of Main").await.unwrap();
        assert!(list.contains("Basic  cover none, busy 60,120, deny +339,+3389"), "{list}");
        let back = run(&store, "set profile Sales calls inherit hours inherit deny none").await.unwrap();
        assert!(back.contains("calls: 12  (sending.toml)") && back.contains("deny: none  (Sales)"), "{back}");
        run(&store, "remove profile Sales").await.unwrap();
        let gone = run(&store, "show profile Sales").await.unwrap_err();
        assert!(gone.contains("no profile Sales"), "{gone}");
    }

    async fn what_does_not_fit_is_refused_and_changes_nothing(store) {
        house(&store).await;
        let before = run(&store, "show profile Basic").await.unwrap();
        for (line, says) in [
            ("set profile Basic", "nothing to set; expected resolution, paper"),
            ("set profile Basic colour red", "priority, calls"),
            ("set profile Basic priority 10", "0 (first) to 9 (last)"),
            ("set profile Basic priority", "a value of priority"),
            ("set profile Basic calls 0", "from 1 to 100"),
            ("set profile Basic busy 60,soon", "seconds as 60,120,300"),
            ("set profile Basic busy 86401", "seconds as 60,120,300"),
            ("set profile Basic hours 8-18", "mon-fri 08:00-18:00"),
            ("set profile Basic allow 33", "beginnings of numbers"),
            ("set profile Basic deny all", "none, or beginnings"),
            ("set profile Basic cover maybe", "Main has no cover maybe"),
            ("set profile Basic ocr ../../etc", "off, or languages as eng"),
            // On a machine without any the answer is what to install; else the list of them.
            ("set profile Basic ocr no_such", "installed"),
            ("set profile Basic priority 1 hours \"mon 08:00-09:00\" quiet 07:00-10:00", "leave some time"),
            ("set profile Nobody priority 1", "no profile Nobody"),
            ("set profile Basic of Elsewhere priority 1", "the name or the domain Elsewhere"),
            ("add profile Basic", "already"),
            ("add profile New priority 1 colour red", "priority, calls"),
            ("remove profile Basic", "inherit"),
            ("remove profile Basic now", "the end of the line"),
        ] {
            let error = run(&store, line).await.unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
        assert_eq!(run(&store, "show profile Basic").await.unwrap(), before);
        assert_eq!(run(&store, "show profiles").await.unwrap(), "Basic  inherits everything");
    }
}
