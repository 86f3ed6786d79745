use super::*;
use crate::{
    people::{
        Language, NewGroup, NewTenant, NewUser, Plan, Role, add_group, add_user, create_tenant,
    },
    store::testing::on_each_database,
};

fn profile(values: &[(&str, &str)]) -> Profile {
    let mut profile = Profile {
        tenant_id: "t".into(),
        name: "P".into(),
        values: BTreeMap::new(),
    };
    for (key, written) in values {
        profile.set(key, written).unwrap();
    }
    profile
}

fn rules(profiles: &[Profile]) -> Rules {
    Rules::of(&Sending::load(None).unwrap(), profiles, "Europe/Paris").unwrap()
}

#[test]
fn every_value_comes_from_the_nearest_that_says_something() {
    let own = profile(&[
        ("priority", "1"),
        ("busy", "none"),
        ("hours", "mon 08:00-09:00"),
    ]);
    let basic = profile(&[
        ("priority", "7"),
        ("busy", "5,6"),
        ("calls", "2"),
        ("quiet", "08:30-10:00"),
    ]);
    let both = rules(&[own, basic.clone()]);
    assert_eq!((both.sending.priority, both.sending.max_calls), (1, 2));
    assert!(
        both.sending.wait_s.busy.is_empty(),
        "none is not the same as nothing said"
    );
    assert_eq!(both.sending.max_tries, rules(&[]).sending.max_tries);
    assert_eq!(rules(&[basic]).sending.wait_s.busy, [5, 6]);
    // 2026-01-05 is a Monday; Paris is an hour ahead. From 8:30 on it is quiet.
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let open = at("2026-01-05T07:29:00Z");
    assert_eq!(both.opens(open), Some(open));
    assert_eq!(
        both.opens(at("2026-01-05T07:30:00Z")),
        Some(at("2026-01-12T07:00:00Z"))
    );
    assert_eq!(rules(&[]).opens(5), Some(5));
}

#[test]
fn pages_become_black_and_white_as_the_nearest_profile_says() {
    let own = profile(&[("tone", "photo")]);
    let basic = profile(&[("tone", "text"), ("dots", "clustered")]);
    let both = rules(&[own, basic]).sending;
    assert_eq!((both.tone, both.dots), (Tone::Photo, Dots::Clustered));
    let none = rules(&[]).sending;
    assert_eq!((none.tone, none.dots), (Tone::Auto, Dots::Diffused));
    let mut other = profile(&[]);
    assert_eq!(other.set("tone", "grey"), Err(Some("auto, text or photo")));
}

#[test]
fn the_longest_beginning_decides_whether_a_number_may_be_faxed() {
    let allowed = |allow, deny| rules(&[profile(&[("allow", allow), ("deny", deny)])]).numbers;
    let france_only = allowed("+33", "+339");
    assert_eq!(france_only.refusal("+33123456789"), None);
    assert!(
        france_only
            .refusal("+33912345678")
            .unwrap()
            .en
            .contains("begin with +339")
    );
    assert!(
        france_only
            .refusal("+4930123456")
            .unwrap()
            .en
            .contains("only that begin with +33")
    );
    // An exception to what is denied.
    let one = allowed("+33199", "+33");
    assert_eq!(one.refusal("+33199001122"), None);
    assert!(one.refusal("+33123456789").is_some());
    assert!(
        allowed("+33", "+33").refusal("+331").is_some(),
        "denied wins"
    );
    assert_eq!(allowed("all", "none").refusal("+1"), None);
    assert_eq!(rules(&[]).numbers.refusal("+1"), None);
}

on_each_database! {
    async fn a_group_uses_the_profile_of_its_name_else_basic(store) {
        let mut tx = store.begin().await.unwrap();
        let tenant = NewTenant { name: "A".into(), language: Language::En, time_zone: "UTC".into() };
        let tenant_id = create_tenant(&mut tx, &tenant).await.unwrap();
        let group = NewGroup { tenant_id: tenant_id.clone(), name: "Sales".into() };
        let group_id = add_group(&mut tx, &group).await.unwrap();
        let mut users = Vec::new();
        for (group_id, address) in [(Some(group_id), "a@x.example"), (None, "b@x.example")] {
            let user = NewUser {
                tenant_id: tenant_id.clone(), group_id, name: "N".into(), address: address.into(),
                role: Role::User, plan: Plan::SendReceive, language: None, caller_number: None,
            };
            users.push(add_user(&mut tx, &user).await.unwrap());
        }
        tx.commit().await.unwrap();
        let sending = Sending::load(None).unwrap();
        let of = async |user: &str| {
            let rules = rules_for(&store, &sending, &tenant_id, user).await.unwrap();
            (rules.sending.priority, rules.sending.max_calls)
        };
        assert_eq!((of(&users[0]).await, of(&users[1]).await), ((5, 12), (5, 12)));
        let mut tx = store.begin().await.unwrap();
        let mut basic = crate::people::profile(&store, &tenant_id, BASIC).await.unwrap().unwrap();
        basic.set("priority", "8").unwrap();
        change_profile(&mut tx, &basic).await.unwrap();
        let mut sales = add_profile(&mut tx, &tenant_id, "Sales").await.unwrap();
        sales.set("calls", "1").unwrap();
        sales.set("allow", "+33").unwrap();
        change_profile(&mut tx, &sales).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((of(&users[0]).await, of(&users[1]).await), ((8, 1), (8, 12)));
        assert_eq!(crate::people::profile(&store, &tenant_id, "Sales").await.unwrap(), Some(sales));
        let allowed = allowed_for(&store, &tenant_id, &users[0]).await.unwrap();
        assert!(allowed.refusal("+4930").is_some());
        assert_eq!(allowed_for(&store, &tenant_id, &users[1]).await.unwrap(), Allowed::default());
        let nobody = rules_for(&store, &sending, &tenant_id, "nobody").await;
        assert!(matches!(nobody, Err(StoreError::Missing("user"))));
    }
}
