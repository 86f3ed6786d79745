//! Replies to our mails: the token in the address, the word in the reply.
//!
//! ```text
//! RCPT TO:<job+abcd…@fax.example.com>      where our mail's Reply-To pointed
//! cancel                                    the first word of the reply, or of its subject
//! ```

use mail_parser::MessageParser;

use super::Answer;
use crate::{
    queue::{NoEffect, Replied, Word},
    sender::VerifiedSender,
    submission::Accepted,
    tokens::{LETTERS, Token},
};

/// What stands before the token.
const NAME: &str = "job";

/// A proven sender's reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Who replies.
    pub sender: VerifiedSender,
    /// Which mail it answers.
    pub token: Token,
    /// What it says.
    pub said: Said,
}

/// What a reply wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Something of faxes that are under way.
    Word(Word),
    /// The mail faxed once more, when it is over.
    Resend,
}

/// The token in the local part of an address, if it is one that replies go to. Its case says nothing.
pub(super) fn token_of(local_part: &str) -> Option<&str> {
    let (name, token) = local_part.split_once('+')?;
    let long = token.len() == LETTERS && token.bytes().all(|octet| octet.is_ascii_alphanumeric());
    (name.eq_ignore_ascii_case(NAME) && long).then_some(token)
}

/// The word of a reply: the first of what its author wrote, else the first of the subject, which they then wrote anew.
pub(super) fn word_of(message: &[u8]) -> Option<Said> {
    let parsed = MessageParser::default().parse(message)?;
    let plain = parsed.text_body.first().and_then(|part| parsed.part(*part));
    let text = match plain.filter(|part| part.is_text_html()) {
        // What stands before the body is for programs.
        Some(html) => {
            let html = html.text_contents().unwrap_or_default();
            let body = html.to_ascii_lowercase().find("<body").unwrap_or(0);
            lines_of_html(&html[body..]).into()
        }
        None => parsed.body_text(0).unwrap_or_default(),
    };
    // What is quoted is ours. Programs that put the answer below it are right too.
    let own = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('>');
    let first = text.lines().find(own).and_then(first_word);
    first.or_else(|| parsed.subject().and_then(first_word))
}

/// The text of HTML with a line for each of its blocks. Its first word is all that is wanted: no entity stands in one.
fn lines_of_html(html: &str) -> String {
    const WITHIN_A_LINE: [&str; 8] = ["a", "b", "i", "u", "em", "font", "span", "strong"];
    let (mut lines, mut rest) = (String::with_capacity(html.len()), html);
    while let Some((text, tag)) = rest.split_once('<') {
        lines.push_str(text);
        let Some((tag, after)) = tag.split_once('>') else {
            rest = "";
            break;
        };
        let name = tag.trim_start_matches('/');
        let name = name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        if !WITHIN_A_LINE
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
        {
            lines.push('\n');
        }
        rest = after;
    }
    lines.push_str(rest);
    lines.replace("&nbsp;", " ")
}

/// Words of a line that lets a fax go. An automatic answer that doesn't say that it is one may begin so too: "Send
/// urgent requests to Bob".
const FEW: usize = 3;

fn first_word(line: &str) -> Option<Said> {
    let words = line
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    match words.first()?.to_lowercase().as_str() {
        "cancel" | "annuler" => Some(Said::Word(Word::Cancel)),
        "send" | "envoyer" if words.len() <= FEW => Some(Said::Word(Word::Send)),
        "resend" | "renvoyer" if words.len() <= FEW => Some(Said::Resend),
        _ => None,
    }
}

/// What a reply whose word is none hears.
pub(super) fn no_word() -> Answer {
    Answer::new(
        550,
        "5.6.0",
        "the first word of this reply is none that is known here: write \"send\", \"cancel\" or \"resend\" (\"envoyer\", \"annuler\", \"renvoyer\") \
         before everything else, on a line of its own",
    )
}

/// What the author of a reply hears.
pub(super) fn done(replied: &Replied) -> String {
    let faxes = match replied.faxes {
        1 => "one fax is".to_owned(),
        more => format!("{more} faxes are"),
    };
    match replied.done {
        crate::letter::Done::Cancelled => format!("{faxes} called off; a mail says how all stand"),
        crate::letter::Done::Released => format!("{faxes} on the way; a mail says how all stand"),
    }
}

/// What the author of a reply without effect hears.
pub(super) fn without_effect(why: NoEffect) -> Answer {
    Answer::new(550, "5.7.1", why.to_string())
}

/// What somebody hears who replies to another's mail.
pub(super) fn not_yours() -> Answer {
    Answer::new(
        550,
        "5.7.1",
        "the mail that this replies to went to another user: only they can answer it",
    )
}

/// What the author of a reply hears that had a mail faxed once more.
pub(super) fn resent(accepted: &Accepted) -> String {
    let id = &accepted.submission_id;
    match accepted.jobs.len() {
        0 => format!("{id} was made of this reply before: nothing is faxed again"),
        _ => format!("{id} is kept and will be faxed once more; a mail says how it stands"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANCEL: Option<Said> = Some(Said::Word(Word::Cancel));
    const SEND: Option<Said> = Some(Said::Word(Word::Send));

    #[test]
    fn only_a_whole_token_is_one() {
        let token = "a".repeat(LETTERS);
        assert_eq!(token_of(&format!("job+{token}")), Some(token.as_str()));
        assert_eq!(token_of(&format!("JOB+{token}")), Some(token.as_str()));
        for other in [
            format!("jobs+{token}"),
            format!("job{token}"),
            format!("job+{token}a"),
            format!("job+{}", &token[1..]),
            format!("job+{}/", &token[1..]),
            "+33123456789".to_owned(),
        ] {
            assert_eq!(token_of(&other), None, "{other}");
        }
    }

    #[test]
    fn the_first_word_counts_and_nothing_that_is_quoted() {
        let of = |subject: &str, body: &str| {
            let mail = format!(
                "Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}"
            );
            word_of(mail.as_bytes())
        };
        for (body, word) in [
            ("cancel\r\n", CANCEL),
            ("\r\n\r\n  Cancel, please!\r\n> send", CANCEL),
            ("> send\r\n> more\r\n\r\nANNULER\r\n", CANCEL),
            ("\u{ab}\u{a0}envoyer\u{a0}\u{bb}", SEND),
            ("**send**\r\n-- \r\nAda", SEND),
            ("Don't send it!\r\n", None),
            ("Please cancel", None),
            ("sending", None),
            ("Renvoyer", Some(Said::Resend)),
            ("resend", Some(Said::Resend)),
            ("Send it, please", SEND),
            ("Send urgent requests to Bob, I am away.", None),
            ("I am away until Monday. cancel", None),
            ("", None),
            ("> cancel\r\n", None),
        ] {
            assert_eq!(of("Re: To be confirmed: Offer", body), word, "{body}");
        }
        // A subject counts where its author wrote the word, not where it is an old subject with Re: before it.
        assert_eq!(of("cancel", ""), CANCEL);
        assert_eq!(of("Send", "Best regards"), SEND);
        assert_eq!(of("Re: cancel", ""), None);
        assert_eq!(of("cancel", "send"), SEND, "the text is the answer");
    }

    #[test]
    fn a_reply_in_html_is_read_too() {
        let mail = "Subject: Re: x\r\nContent-Type: text/html\r\n\r\n<html><head><style>p{}</style></head><body><div>Cancel</div>\
                    <blockquote>send</blockquote></body></html>";
        assert_eq!(word_of(mail.as_bytes()), CANCEL);
        let mail =
            "Content-Type: text/html\r\n\r\n<p>&nbsp;</p><p><b>S</b>end&nbsp;it</p><p>cancel</p>";
        assert_eq!(word_of(mail.as_bytes()), SEND);
    }
}
