//! Authentication-Results (RFC 8601) of a relay that is believed.

use super::copies::raw_name;

/// One result: `dmarc=pass header.from=example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthResult {
    /// `dmarc`, `auth`, lower case.
    pub method: String,
    /// `pass`, `fail`, lower case.
    pub result: String,
    /// `header.from` and its value; names in lower case.
    pub properties: Vec<(String, String)>,
}

impl AuthResult {
    fn property(&self, name: &str) -> Option<&str> {
        let mut values = self.properties.iter().filter(|(known, _)| known == name);
        // Twice the same is nobody's word.
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

/// What a relay says of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Who of this name logged in there (lower case).
    LoggedIn(String),
    /// DMARC passed for this domain.
    Dmarc(String),
}

/// What the relay of this name says in the first such line of a message. It must stand above the second Received line:
/// ours is the first, and from the relay's own on everything may have come with the mail, as where the relay added none.
pub(super) fn word_of(authserv_id: &str, message: &mail_parser::Message<'_>) -> Vec<Word> {
    let mut received = 0;
    let above = message.headers().iter().take_while(|header| {
        received += usize::from(header.name == mail_parser::HeaderName::Received);
        received < 2
    });
    first_word(authserv_id, message, above)
}

/// The same of the server of a mailbox that a mail was fetched from: large services put Received lines of their own
/// above it, so that the first such line of all is read. That server must take out those with its name that come from
/// elsewhere (RFC 8601 §5): who says that a mailbox believes it, says that.
pub(super) fn word_in_mailbox(authserv_id: &str, message: &mail_parser::Message<'_>) -> Vec<Word> {
    first_word(authserv_id, message, message.headers().iter())
}

fn first_word<'m>(
    authserv_id: &str,
    message: &mail_parser::Message<'_>,
    mut lines: impl Iterator<Item = &'m mail_parser::Header<'m>>,
) -> Vec<Word> {
    let first = lines.find(|header| {
        raw_name(header, &message.raw_message).eq_ignore_ascii_case(b"authentication-results")
    });
    let text = first.and_then(|header| {
        let raw = message
            .raw_message
            .get(header.offset_start as usize..header.offset_end as usize)?;
        std::str::from_utf8(raw).ok()
    });
    let Some((id, results)) = text.and_then(read_results) else {
        return Vec::new();
    };
    if id != authserv_id {
        return Vec::new();
    }
    words(&results)
}

fn words(results: &[AuthResult]) -> Vec<Word> {
    // RFC 8601 §2.7.6: a method stands once for each thing it was applied to; one that fails besides leaves doubt.
    let of = |method: &str| -> Vec<&AuthResult> {
        results
            .iter()
            .filter(|result| result.method == method)
            .collect()
    };
    let mut words = Vec::new();
    if let [auth] = of("auth").as_slice()
        && auth.result == "pass"
        && let Some(user) = auth.property("smtp.auth")
    {
        words.push(Word::LoggedIn(user.to_lowercase()));
    }
    if let [dmarc] = of("dmarc").as_slice()
        && dmarc.result == "pass"
        && let Some(domain) = dmarc.property("header.from")
    {
        words.push(Word::Dmarc(domain.to_lowercase()));
    }
    words
}

/// Reads the value of an Authentication-Results line: the authserv-id in lower case, and the results. Nothing where it
/// is not as RFC 8601 §2.2 has it: half a line could say the opposite of the whole.
#[must_use]
pub fn read_results(value: &str) -> Option<(String, Vec<AuthResult>)> {
    let mut text = Text(value);
    let id = text.value()?.to_lowercase();
    // authres-version
    if text.0.starts_with(|c: char| c.is_ascii_digit()) && text.keyword()? != "1" {
        return None;
    }
    let mut results = Vec::new();
    while !text.at_end()? {
        text.literal(';')?;
        if text.at_end()? {
            break;
        }
        let method = text.keyword()?.to_ascii_lowercase();
        // no-result
        if method == "none" && results.is_empty() && text.at_end()? {
            break;
        }
        if text.literal('/').is_some() {
            text.keyword()?;
        }
        text.literal('=')?;
        let result = text.keyword()?.to_ascii_lowercase();
        let mut properties = Vec::new();
        while !text.at_end()? && !text.0.starts_with(';') {
            let name = text.keyword()?.to_ascii_lowercase();
            if name == "reason" {
                text.literal('=')?;
                text.value()?;
                continue;
            }
            text.literal('.')?;
            let property = text.keyword()?.to_ascii_lowercase();
            text.literal('=')?;
            properties.push((format!("{name}.{property}"), text.value()?));
        }
        results.push(AuthResult {
            method,
            result,
            properties,
        });
    }
    Some((id, results))
}

/// What is left to read.
struct Text<'a>(&'a str);

impl Text<'_> {
    /// Passes over white space and comments, which nest (RFC 5322 §3.2.2). Nothing where one does not end.
    fn skip(&mut self) -> Option<()> {
        loop {
            self.0 = self.0.trim_start_matches([' ', '\t', '\r', '\n']);
            if !self.0.starts_with('(') {
                return Some(());
            }
            let (mut depth, mut escaped, mut end) = (0usize, false, None);
            for (at, c) in self.0.char_indices() {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    end = Some(at + 1);
                    break;
                }
            }
            self.0 = &self.0[end?..];
        }
    }

    fn at_end(&mut self) -> Option<bool> {
        self.skip()?;
        Some(self.0.is_empty())
    }

    fn literal(&mut self, literal: char) -> Option<()> {
        self.skip()?;
        self.0 = self.0.strip_prefix(literal)?;
        self.skip()
    }

    /// RFC 5321 §4.1.2 Keyword: letters, digits and hyphens; here with the underscore that some write.
    fn keyword(&mut self) -> Option<String> {
        self.skip()?;
        self.take(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    }

    /// A token, a quoted string, or an address.
    fn value(&mut self) -> Option<String> {
        self.skip()?;
        let mut value = String::new();
        if let Some(mut rest) = self.0.strip_prefix('"') {
            loop {
                let mut letters = rest.chars();
                let c = letters.next()?;
                rest = letters.as_str();
                match c {
                    '"' => break,
                    '\\' => {
                        value.push(letters.next()?);
                        rest = letters.as_str();
                    }
                    c => value.push(c),
                }
            }
            self.0 = rest;
            // A quoted local part has its domain behind it.
            if !self.0.starts_with('@') {
                self.skip()?;
                return Some(value);
            }
        }
        // RFC 2045 §5.1 token, and what addresses and header values have besides.
        let token = |c: char| c.is_alphanumeric() || "!#$%&'*+-.^_`{|}~@/:=<>?[]".contains(c);
        value.push_str(&self.take(token)?);
        Some(value)
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> Option<String> {
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        self.skip()?;
        (!taken.is_empty()).then(|| taken.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(head: &str) -> Vec<Word> {
        let mail = format!("{head}\r\nFrom: a@x\r\n\r\nx");
        let parsed = mail_parser::MessageParser::default()
            .parse(mail.as_bytes())
            .unwrap();
        word_of("mx.example.com", &parsed)
    }

    fn dmarc(domain: &str) -> Vec<Word> {
        vec![Word::Dmarc(domain.into())]
    }

    #[test]
    fn results_are_read_as_the_examples_of_the_standard_have_them() {
        let (id, results) = read_results(
            " example.com 1; auth=pass (cram-md5) smtp.auth=sender@example.net; \
             spf=pass smtp.mailfrom=example.net;\r\n\tsender-id/1=fail (a (nested) \\) one) reason=\"x; y\" header.from=example.net",
        )
        .unwrap();
        assert_eq!(id, "example.com");
        let methods: Vec<_> = results
            .iter()
            .map(|r| (r.method.as_str(), r.result.as_str()))
            .collect();
        assert_eq!(
            methods,
            [("auth", "pass"), ("spf", "pass"), ("sender-id", "fail")]
        );
        assert_eq!(
            results[0].properties,
            [("smtp.auth".into(), "sender@example.net".into())]
        );
        assert_eq!(
            results[2].properties,
            [("header.from".into(), "example.net".into())]
        );
        assert_eq!(read_results("example.org 1; none").unwrap().1, []);
        assert_eq!(read_results("example.org; dkim").map(|_| ()), None);
        assert_eq!(
            read_results("example.org; dkim=pass (open").map(|_| ()),
            None
        );
        assert_eq!(read_results("example.org 2; dkim=pass").map(|_| ()), None);
        assert_eq!(read_results(""), None);
    }

    #[test]
    fn the_first_line_with_the_relays_name_is_believed_and_no_other() {
        let good = "Authentication-Results: mx.example.com; dmarc=pass header.from=Example.ORG";
        let bad = "Authentication-Results: mx.example.com; dmarc=fail header.from=example.org";
        assert_eq!(words(good), dmarc("example.org"));
        assert_eq!(words(bad), []);
        assert_eq!(words(&format!("{bad}\r\n{good}")), []);
        assert_eq!(words(&good.replace("mx.", "mx2.")), []);
        assert_eq!(
            words(&format!("{}\r\n{good}", good.replace("mx.", "mx2."))),
            []
        );
        // What the relay added stands above its own Received line; below, anybody may have written it.
        let (ours, theirs) = (
            "Received: by us; now\r\n",
            "Received: by mx.example.com; now\r\n",
        );
        assert_eq!(
            words(&format!("{ours}{good}\r\n{theirs}X: y")),
            dmarc("example.org")
        );
        assert_eq!(words(&format!("{ours}{theirs}{good}")), []);
        assert_eq!(words(&format!("{ours}{theirs}{theirs}{good}")), []);
        // Its name is written as such: others are passed over by who strips it.
        for odd in [
            "Authentication-Results ",
            ":Authentication-Results",
            "Authentication- Results",
        ] {
            assert_eq!(
                words(&good.replace("Authentication-Results", odd)),
                [],
                "{odd}"
            );
        }
        // A comment is no result, and a word in quotes neither.
        assert_eq!(
            words(
                "Authentication-Results: mx.example.com; spf=fail (dmarc=pass header.from=example.org)"
            ),
            []
        );
        assert_eq!(
            words(
                "Authentication-Results: mx.example.com; spf=fail reason=\"; dmarc=pass header.from=example.org\""
            ),
            []
        );
        // Two words on one thing are none.
        assert_eq!(
            words(&format!("{good}; dmarc=fail header.from=example.org")),
            []
        );
        assert_eq!(
            words("Authentication-Results: mx.example.com; auth=pass smtp.auth=Ada@example.com"),
            [Word::LoggedIn("ada@example.com".into())]
        );
    }

    #[test]
    fn promise_4_of_a_fetched_mail_the_first_line_of_all_counts() {
        let fetched = |head: &str| {
            let mail = format!("{head}\r\nFrom: a@x\r\n\r\nx");
            let parser = mail_parser::MessageParser::default();
            word_in_mailbox("mx.example.com", &parser.parse(mail.as_bytes()).unwrap())
        };
        let good = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.org";
        let hops = "Received: by a; now\r\nReceived: by b; now\r\n";
        assert_eq!(fetched(&format!("{hops}{good}")), dmarc("example.org"));
        let bad = good.replace("pass", "fail");
        assert_eq!(fetched(&format!("{bad}\r\n{good}")), []);
        assert_eq!(
            fetched(&format!("{}\r\n{good}", good.replace("mx.", "x."))),
            []
        );
        assert_eq!(fetched("X: y"), []);
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_fall(text in "\\PC{0,80}") {
            let _ = read_results(&text);
        }

        #[test]
        fn pieces_never_make_it_fall(pieces in prop::collection::vec(prop::sample::select(vec![
            "mx.example.com", ";", "dmarc", "=", "pass", "(", ")", "\"", "\\", " ", "header.from", ".", "/1", "none", "é",
        ]), 0..40)) {
            let _ = read_results(&pieces.concat());
        }

        /// What is written by the grammar is read back, whatever stands in comments.
        #[test]
        fn what_is_written_is_read(method in "[a-z]{1,8}", result in "[a-z]{1,8}", value in "[a-z@.]{1,12}", comment in "[a-z=;. ]{0,20}") {
            let text = format!("mx.example.com; ({comment}) {method}={result} ({comment}) smtp.auth={value} ({comment})");
            let (_, results) = read_results(&text).unwrap();
            prop_assert_eq!(&results[0].properties, &[("smtp.auth".to_owned(), value)]);
            prop_assert_eq!((&results[0].method, &results[0].result), (&method, &result));
        }
    }
}
