use super::*;
use Media::{G711, T38};
use RetryClass::{Busy, NoAnswer, NoFax, Protocol, Trunk};

/// How a call ends: by what, and what carried it.
type Ending = (RetryClass, Option<Media>);
/// A trunk, and whether it has T.38.
type Has = (&'static str, bool);
/// What it is about, the calls' endings, the trunks, and what the calls offer.
type Row = (
    &'static str,
    &'static [Ending],
    &'static [Has],
    &'static [&'static str],
);

/// `t38 v17 ecm`, and the trunk that is tried first.
fn written(attempt: &Attempt) -> String {
    let Offer { t38, v17, ecm } = attempt.offer;
    let mut words = vec![if t38 { "t38" } else { "g711" }];
    words.extend(v17.then_some("v17"));
    words.extend(ecm.then_some("ecm"));
    format!("{} on {}", words.join(" "), attempt.trunks[0])
}

fn carriers(trunks: &[Has]) -> Vec<Carrier> {
    (trunks.iter())
        .map(|&(trunk_id, t38)| Carrier {
            trunk_id: trunk_id.into(),
            t38,
            hylafax: false,
        })
        .collect()
}

/// The calls of a job that end like this, each as the one before it had it decided.
fn walk(endings: &[Ending], remembered: Option<Offer>, trunks: &[Has]) -> Vec<String> {
    let mut tried = Vec::new();
    let mut said = Vec::new();
    for &(class, media) in endings {
        let attempt = next(&tried, remembered, &carriers(trunks));
        said.push(written(&attempt));
        tried.push(Tried {
            offer: attempt.offer,
            trunk_id: attempt.trunks[0].clone(),
            media,
            class,
        });
    }
    said.push(written(&next(&tried, remembered, &carriers(trunks))));
    said
}

const BROKE_OFF: Ending = (Protocol, Some(T38));
const BUSY: Ending = (Busy, None);
const TWO: &[Has] = &[("a", true), ("b", true)];

#[test]
fn each_call_that_broke_off_is_followed_by_one_that_offers_less() {
    let table: &[Row] = &[
        (
            "two trunks",
            &[BROKE_OFF; 6],
            TWO,
            &[
                "t38 v17 ecm on a",
                "t38 ecm on a",
                "g711 ecm on a",
                "g711 ecm on b",
                "g711 on a",
                "g711 on b",
                "g711 on a",
            ],
        ),
        (
            "one trunk",
            &[BROKE_OFF; 4],
            &[("a", true)],
            &[
                "t38 v17 ecm on a",
                "t38 ecm on a",
                "g711 ecm on a",
                "g711 on a",
                "g711 on a",
            ],
        ),
        (
            "three trunks: one other is tried, not all",
            &[BROKE_OFF; 4],
            &[("a", true), ("b", true), ("c", true)],
            &[
                "t38 v17 ecm on a",
                "t38 ecm on a",
                "g711 ecm on a",
                "g711 ecm on b",
                "g711 on a",
            ],
        ),
        (
            "a trunk without T.38 has no such step",
            &[BROKE_OFF; 2],
            &[("a", false)],
            &["t38 v17 ecm on a", "t38 ecm on a", "t38 on a"],
        ),
        (
            "neither has the other one",
            &[BROKE_OFF; 3],
            &[("a", false), ("b", false)],
            &[
                "t38 v17 ecm on a",
                "t38 ecm on a",
                "t38 ecm on b",
                "t38 on a",
            ],
        ),
        (
            "busy, no answer and a trunk's failure change nothing",
            &[
                BUSY,
                (NoAnswer, None),
                (Trunk, None),
                BROKE_OFF,
                BUSY,
                BROKE_OFF,
            ],
            TWO,
            &[
                "t38 v17 ecm on a",
                "t38 v17 ecm on a",
                "t38 v17 ecm on a",
                "t38 v17 ecm on a",
                "t38 ecm on a",
                "t38 ecm on a",
                "g711 ecm on a",
            ],
        ),
        (
            "no fax heard over T.38: it may be the gateway",
            &[(NoFax, Some(T38)), BROKE_OFF, BROKE_OFF],
            TWO,
            &[
                "t38 v17 ecm on a",
                "g711 v17 ecm on a",
                "g711 ecm on a",
                "g711 ecm on b",
            ],
        ),
        (
            "no fax heard over G.711: it is a person",
            &[(NoFax, Some(G711))],
            TWO,
            &["t38 v17 ecm on a", "t38 v17 ecm on a"],
        ),
    ];
    for (what, endings, trunks, expected) in table {
        assert_eq!(walk(endings, None, trunks), *expected, "{what}");
    }
}

#[test]
fn what_is_remembered_is_offered_first_and_given_up_like_the_rest() {
    let slow = Offer {
        v17: false,
        ..Offer::FULL
    };
    assert_eq!(
        walk(&[BUSY, BROKE_OFF], Some(slow), TWO),
        ["t38 ecm on a", "t38 ecm on a", "g711 ecm on a"]
    );
    let least = Offer {
        t38: false,
        v17: false,
        ecm: false,
    };
    assert_eq!(
        walk(&[BROKE_OFF], Some(least), TWO),
        ["g711 on a", "g711 on b"]
    );
    // Learned meanwhile by another fax: a call that broke off has the last word.
    let tried = [Tried {
        offer: slow,
        trunk_id: "a".into(),
        media: Some(T38),
        class: Protocol,
    }];
    let attempt = next(&tried, Some(Offer::FULL), &carriers(TWO));
    assert_eq!(written(&attempt), "g711 ecm on a");
}

#[test]
fn every_trunk_that_can_take_the_call_stays_in_the_order() {
    let tried = [Tried {
        offer: Offer {
            t38: false,
            v17: false,
            ecm: true,
        },
        trunk_id: "a".into(),
        media: Some(G711),
        class: Protocol,
    }];
    let three = [("a", true), ("b", true), ("c", true)];
    assert_eq!(
        next(&tried, None, &carriers(&three)).trunks,
        ["b", "c", "a"]
    );
    assert!(next(&tried, None, &[]).trunks.is_empty());
}
