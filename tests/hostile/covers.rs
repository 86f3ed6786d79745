//! Templates of covers that try to be more than a template. Who uploads one, and whose fax it is to be on, are
//! answered in words.

use crate::{Attack, Ends, Make};

pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "a cover that computes without end",
        ends: Ends::Limited,
        make: Make::Template(|| {
            "#for a in range(3000) { for b in range(3000) { for c in range(3000) { } } }".to_owned()
        }),
    },
    Attack {
        name: "a cover that waits for what never comes",
        ends: Ends::Refused,
        make: Make::Template(|| "#let a = 1\n#while true { a += 1 }".to_owned()),
    },
    Attack {
        name: "a cover that calls itself",
        ends: Ends::Refused,
        make: Make::Template(|| "#let f(it) = f(it + 1)\n#f(0)".to_owned()),
    },
    Attack {
        name: "a cover that takes all memory",
        ends: Ends::Clearly,
        make: Make::Template(|| {
            "#let s = \"x\" * 1000000\n#for i in range(30) { s = s + s }\n#s.len()".to_owned()
        }),
    },
    Attack {
        name: "a cover of arrays within arrays",
        ends: Ends::Clearly,
        make: Make::Template(|| {
            "#let a = range(1000000)\n#let all = ()\n#while true { all.push(a.map(it => it + 1)) }"
                .to_owned()
        }),
    },
    Attack {
        name: "a cover that reads a file",
        ends: Ends::Refused,
        make: Make::Template(|| "#read(\"/etc/passwd\")".to_owned()),
    },
    Attack {
        name: "a cover that reads a file beside it",
        ends: Ends::Refused,
        make: Make::Template(|| "#include \"../../etc/passwd\"".to_owned()),
    },
    Attack {
        name: "a cover that fetches a package",
        ends: Ends::Refused,
        make: Make::Template(|| "#import \"@preview/cetz:0.3.0\": canvas".to_owned()),
    },
    Attack {
        name: "a cover of thousands of pages",
        ends: Ends::Clearly,
        make: Make::Template(|| "#for i in range(5000) { [page]; pagebreak() }".to_owned()),
    },
    Attack {
        name: "a cover on a sheet of a kilometre",
        ends: Ends::Clearly,
        make: Make::Template(|| {
            "#set page(width: 1000000mm, height: 1000000mm)\n#rect(width: 100%, height: 100%, fill: black)".to_owned()
        }),
    },
    Attack {
        name: "a cover that is laid out without end",
        ends: Ends::Clearly,
        make: Make::Template(|| {
            "#let s = state(\"s\", 0)\n#context { for i in range(s.final() + 10) { [x ] }; s.update(s.final() * 2 + 9) }"
                .to_owned()
        }),
    },
    Attack {
        name: "a cover of brackets",
        ends: Ends::Clearly,
        make: Make::Template(|| "#[".repeat(60_000)),
    },
    Attack {
        name: "a cover of ten thousand gradients",
        ends: Ends::Clearly,
        make: Make::Template(|| {
            "#for i in range(10000) { place(rect(width: 200mm, height: 280mm, fill: gradient.conic(..color.map.rainbow))) }"
                .to_owned()
        }),
    },
    Attack {
        name: "a cover that draws a picture of its own",
        ends: Ends::Refused,
        make: Make::Template(|| "#image(bytes((137, 80, 78, 71, 0, 0)))".to_owned()),
    },
];
