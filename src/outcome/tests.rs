use std::fmt::Write as _;

use super::*;

fn call(facts: Facts) -> &'static str {
    classify(facts).key
}

#[test]
fn the_whole_table() {
    let mut text = String::new();
    for outcome in TABLE {
        writeln!(
            text,
            "{} | {:?} | {}\n  en: {}\n  fr: {}",
            outcome.key,
            outcome.retry,
            outcome.dsn,
            outcome.words(Language::En),
            outcome.words(Language::Fr)
        )
        .unwrap();
    }
    insta::assert_snapshot!("outcomes", text);
}

#[test]
fn every_code_has_its_outcome() {
    let mut text = String::new();
    for status in 300..700 {
        let outcome = codes::by_sip(status);
        if outcome.key != "call-refused" && !(300..400).contains(&status) && status < 500
            || [
                300, 500, 501, 503, 504, 505, 513, 580, 600, 603, 604, 606, 607, 608,
            ]
            .contains(&status)
        {
            writeln!(text, "SIP {status}: {}", outcome.key).unwrap();
        }
    }
    for (cause, outcome, name) in codes::CAUSES {
        writeln!(text, "Q.850 {cause} ({name}): {}", outcome.key).unwrap();
    }
    for code in codes::T30_CODES {
        let outcome = codes::by_t30(code.code);
        writeln!(text, "T.30 {} {}: {}", code.code, code.name, outcome.key).unwrap();
    }
    insta::assert_snapshot!("codes", text);
}

#[test]
fn each_t30_code_stands_at_its_own_index() {
    assert_eq!(codes::T30_CODES.len(), 62);
    for (index, row) in codes::T30_CODES.iter().enumerate() {
        assert_eq!(row.code as usize, index);
    }
    assert_eq!(codes::by_t30(62).key, "protocol-error");
}

#[test]
fn keys_are_unique_and_lead_back() {
    for outcome in TABLE {
        assert!(std::ptr::eq(by_key(outcome.key).unwrap(), *outcome));
        let class = &outcome.dsn[..2];
        let wanted = match outcome.retry {
            RetryClass::Never => "245",
            _ => "4.",
        };
        assert!(
            wanted.contains(class.trim_end_matches('.'))
                || outcome.key == "no-fax"
                || outcome.key == "media-refused",
            "{} says {}",
            outcome.key,
            outcome.dsn
        );
    }
    assert_eq!(by_key("of-a-later-version"), None);
}

#[test]
fn pages_decide_before_codes() {
    use Verdict::*;
    // spandsp ends with an error, yet the far end confirmed each page (field/line.md §7.2).
    assert_eq!(
        call(Facts {
            t30: Some(49),
            pages: vec![Confirmed, Confirmed],
            ..Facts::default()
        }),
        "sent"
    );
    // spandsp says OK for refused and skipped pages.
    assert_eq!(
        call(Facts {
            t30: Some(0),
            pages: vec![Confirmed, Refused],
            ..Facts::default()
        }),
        "pages-refused"
    );
    assert_eq!(
        call(Facts {
            t30: Some(0),
            pages: vec![Confirmed, Unknown],
            ..Facts::default()
        }),
        "pages-unconfirmed"
    );
    assert_eq!(
        call(Facts {
            t30: Some(0),
            ..Facts::default()
        }),
        "received"
    );
}

#[test]
fn a_call_cut_off_says_whether_a_page_is_in_doubt() {
    use Verdict::*;
    assert_eq!(
        call(Facts {
            t30: Some(49),
            pages: vec![Confirmed, Unknown, Unsent],
            ..Facts::default()
        }),
        "dropped-in-page"
    );
    assert_eq!(
        call(Facts {
            t30: Some(49),
            pages: vec![Confirmed, Unsent],
            ..Facts::default()
        }),
        "dropped"
    );
    assert_eq!(
        call(Facts {
            pages: vec![Unsent],
            ..Facts::default()
        }),
        "dropped"
    );
}

#[test]
fn the_networks_cause_is_finer_than_the_status() {
    let answer = |status, q850| {
        call(Facts {
            unanswered: Some(Unanswered::Status(status)),
            q850,
            pages: vec![Verdict::Unsent],
            ..Facts::default()
        })
    };
    assert_eq!(answer(486, None), "busy");
    assert_eq!(answer(503, None), "trunk-full");
    assert_eq!(answer(503, Some(1)), "no-such-number");
    assert_eq!(answer(480, Some(16)), "no-answer");
    assert_eq!(answer(480, Some(17)), "busy");
    assert_eq!(answer(418, None), "call-refused");
    let unanswered = |unanswered| {
        call(Facts {
            unanswered: Some(unanswered),
            ..Facts::default()
        })
    };
    assert_eq!(unanswered(Unanswered::NoAnswer), "no-answer");
    assert_eq!(unanswered(Unanswered::Unreachable), "trunk-unreachable");
}

#[test]
fn our_own_fault_is_never_the_far_ends() {
    assert_eq!(
        call(Facts {
            own_fault: true,
            t30: Some(49),
            pages: vec![Verdict::Unsent],
            ..Facts::default()
        }),
        "own-fault"
    );
    assert_eq!(
        call(Facts {
            no_fax_heard: true,
            t30: Some(3),
            ..Facts::default()
        }),
        "no-fax"
    );
}
