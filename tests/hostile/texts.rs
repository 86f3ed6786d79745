//! Texts and covers that try to be more than text.

use faxpost_paper::Cover;

use crate::{Attack, Ends, Make};

pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "typst source as text",
        ends: Ends::Drawn,
        make: Make::Text(|| {
            "#read(\"/etc/passwd\")\n#panic(\"x\")\n#import \"@preview/a:1.0.0\"\n#while true {}\n$ x^2 $ *bold* `raw` \\ #[".repeat(20)
        }),
    },
    Attack {
        name: "one word of a million letters",
        ends: Ends::Clearly,
        make: Make::Text(|| "x".repeat(1_000_000)),
    },
    Attack {
        name: "a million empty lines",
        ends: Ends::Refused,
        make: Make::Text(|| "\n".repeat(1_000_000) + "end"),
    },
    Attack {
        name: "ten million characters",
        ends: Ends::Refused,
        make: Make::Text(|| "all work and no play ".repeat(500_000)),
    },
    Attack {
        name: "brackets within brackets",
        ends: Ends::Drawn,
        make: Make::Text(|| "[(".repeat(50_000)),
    },
    Attack {
        name: "marks upon marks",
        ends: Ends::Clearly,
        make: Make::Text(|| "e\u{301}".repeat(10) + &"\u{301}".repeat(50_000)),
    },
    Attack {
        name: "both directions at once",
        ends: Ends::Drawn,
        make: Make::Text(|| "\u{202e}abc \u{2066}\u{5d0}\u{5d1} \u{202d}".repeat(5_000)),
    },
    Attack {
        name: "a thousand pages",
        ends: Ends::Refused,
        make: Make::Text(|| "x\u{c}".repeat(1_000)),
    },
    Attack {
        name: "only joiners",
        ends: Ends::Clearly,
        make: Make::Text(|| "\u{200d}\u{200b}\u{2060}".repeat(50_000)),
    },
    Attack {
        name: "typst source in every field of a cover",
        ends: Ends::Drawn,
        make: Make::Cover(|| {
            let source = || "#read(\"/etc/passwd\") #{panic()} $ ] } \" #eval(\"1\")".repeat(3);
            Cover {
                organisation: source(),
                from_name: source(),
                from_number: source(),
                to_name: source(),
                to_number: source(),
                date: source(),
                subject: source(),
                message: source(),
                footer: source(),
                ..Cover::default()
            }
        }),
    },
    Attack {
        name: "fields of a megabyte on a cover",
        ends: Ends::Drawn,
        make: Make::Cover(|| {
            let long = || "\u{202e}W\u{301}".repeat(250_000);
            Cover {
                organisation: long(),
                to_name: long(),
                subject: long(),
                message: long(),
                footer: long(),
                ..Cover::default()
            }
        }),
    },
];
