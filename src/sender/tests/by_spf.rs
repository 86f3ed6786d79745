//! SPF.

use super::*;

#[tokio::test]
async fn spf_proves_where_its_domain_is_that_of_the_from_line() {
    let pass = "v=spf1 ip4:192.0.2.66 -all";
    let sender = spf(pass).asking().await.0.unwrap();
    assert_eq!(sender.proof_words(), "spf example.org 192.0.2.66");
    let why = async |one: Try| one.asking().await.0.unwrap_err();
    assert!(matches!(
        why(spf("v=spf1 -all")).await,
        Refusal::NotProven { .. }
    ));
    assert!(matches!(
        why(spf("v=spf1 ?all")).await,
        Refusal::NotProven { .. }
    ));
    assert!(matches!(why(spf("none")).await, Refusal::NotProven { .. }));
    // A pass of another domain's.
    let other = Try {
        zone: zone().txt("evil.example", pass),
        reverse_path: "ada@evil.example",
        ..spf(pass)
    };
    assert!(matches!(why(other).await, Refusal::NotProven { .. }));
    let hidden = Try {
        unnamed: vec!["+331".into()],
        ..spf(pass)
    };
    assert!(why(hidden).await.to_string().contains("hidden recipients"));
    let mute = Try {
        zone: Zone {
            failing: vec!["example.org".into()],
            ..zone()
        },
        ..spf(pass)
    };
    assert_eq!(why(mute).await, Refusal::Dns("example.org".into()));
    // It is opt-in: a rule that does not list it does not take it.
    let without = Try {
        rules: dkim("").rules,
        ..spf(pass)
    };
    assert!(matches!(why(without).await, Refusal::NotProven { .. }));
}
