//! Letters about mailboxes: to who sent what was refused, and to the operator when a mailbox can't be polled.

use mail_parser::MessageParser;

use super::{Setup, Shared};
use crate::{
    clock::{Millis, now_ms},
    language::Language,
    letter::{self, Notice, Refused},
    numbers::{self, Mailbox, MailboxState},
    people,
    relay::{self, NewMail},
    sender::VerifiedSender,
    store::{Topic, Tx},
    vault::{NewItem, What},
};

const LASTS: Millis = 72 * 3_600_000;

/// A letter that is owed.
pub(super) struct Owed {
    /// One of a kind: a letter for each purpose.
    pub purpose: String,
    pub tenant_id: String,
    pub to: String,
    pub language: Language,
    pub in_reply_to: Option<String>,
    pub subject: String,
    pub sentences: Vec<String>,
}

/// Owes a letter, with what `besides` records in the same transaction; nothing of both when the purpose is there
/// already or `besides` says no.
pub(super) async fn owe(
    setup: &Setup,
    owed: Owed,
    besides: impl AsyncFnOnce(&mut Tx) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let message_id = format!("{}@{}", owed.purpose.replace(':', "."), setup.hostname);
    let bytes = letter::notice(&Notice {
        message_id: message_id.clone(),
        from: setup.from.clone(),
        to: owed.to.clone(),
        date_ms: now_ms(),
        language: owed.language,
        in_reply_to: owed.in_reply_to,
        subject: owed.subject,
        sentences: owed.sentences,
    })?;
    let mail = NewMail {
        tenant_id: owed.tenant_id.clone(),
        purpose: owed.purpose,
        about: String::new(),
        message_id,
        return_path: String::new(),
        recipient: owed.to,
        deadline: now_ms() + LASTS,
    };
    let item = NewItem {
        tenant_id: owed.tenant_id,
        what: What::Mail,
        bytes,
    };
    let kept = setup.custody.keep_one(item).await?;
    let mut tx = setup.store.begin().await?;
    setup.custody.record(&mut tx, &kept).await?;
    if relay::enqueue_written(&mut tx, &mail, &kept.custody_id).await? && besides(&mut tx).await? {
        tx.commit().await?;
        setup.store.wake(Topic::Outbox);
    }
    Ok(())
}

/// What is known of a mail that is answered.
pub(super) struct Original {
    pub message_id: Option<String>,
    pub subject: String,
    /// RFC 3834 §2: what a program sent on its own, or to a list, is not answered.
    pub automatic: bool,
}

impl Original {
    pub fn of(message: &[u8]) -> Self {
        let parsed = MessageParser::default().parse_headers(message);
        let header = |name: &str| {
            parsed
                .as_ref()
                .and_then(|parsed| parsed.header_raw(name))
                .map(|value| value.trim().to_ascii_lowercase())
        };
        let submitted = header("Auto-Submitted").is_some_and(|value| !value.starts_with("no"));
        let bulk = header("Precedence")
            .is_some_and(|value| matches!(value.as_str(), "bulk" | "junk" | "list"));
        let subject = parsed.as_ref().and_then(|parsed| parsed.subject());
        let subject = crate::sender::secret::of_subject(subject.unwrap_or_default()).left;
        Self {
            message_id: parsed
                .as_ref()
                .and_then(|parsed| parsed.message_id())
                .map(str::to_owned),
            subject: subject.chars().take(200).collect(),
            automatic: submitted || bulk || header("List-Id").is_some(),
        }
    }
}

/// Tells a proven sender why nothing of their mail is faxed. (Of one that is faxed in part the letter is owed with its
/// submission.)
pub(super) async fn sender(
    shared: &Shared,
    purpose: String,
    sender: &VerifiedSender,
    original: &Original,
    refused: &[Refused],
) -> anyhow::Result<()> {
    let setup = &shared.setup;
    let user = sender.user();
    let settings = people::settings_for(&setup.store, &user.tenant_id, &user.user_id).await?;
    let language = settings.language;
    let subject = &original.subject;
    let (title, lead, colon) = match language {
        Language::En => (
            format!("Not faxed: {subject}"),
            "Your mail was received, and nothing of it is faxed.",
            ":",
        ),
        Language::Fr => (
            format!("Pas envoyé par fax\u{a0}: {subject}"),
            "Votre message est arrivé, et rien n'en est envoyé par fax.",
            "\u{a0}:",
        ),
    };
    let reasons = refused.iter().map(|refused| {
        let why = refused.why.to(language);
        match refused.name.as_str() {
            "" => format!("{why}."),
            name => format!("{name}{colon} {why}."),
        }
    });
    let owed = Owed {
        purpose,
        tenant_id: user.tenant_id.clone(),
        to: user.address.clone(),
        language,
        in_reply_to: original.message_id.clone(),
        subject: title,
        sentences: std::iter::once(lead.to_owned()).chain(reasons).collect(),
    };
    owe(setup, owed, async |_| Ok(true)).await
}

/// Tells the operator once of each spell of failures that lasts for `imap.alert_s`.
pub(super) async fn operator(shared: &Shared, mailbox: &Mailbox) -> anyhow::Result<()> {
    let setup = &shared.setup;
    let now = now_ms();
    let states = numbers::mailbox_states(&setup.store, now).await?;
    let state = states
        .into_iter()
        .find(|state| state.mailbox_id == mailbox.mailbox_id);
    let Some(MailboxState {
        failing_since: Some(since),
        failure: Some(failure),
        alerted_at: None,
        ..
    }) = state
    else {
        return Ok(());
    };
    let patience = Millis::try_from(setup.config.alert_s)
        .unwrap_or(Millis::MAX)
        .saturating_mul(1000);
    if now - since < patience {
        return Ok(());
    }
    let Some(to) = setup.postmaster.address(&setup.store).await? else {
        return Ok(());
    };
    let name = &mailbox.name;
    let owed = Owed {
        purpose: format!("mailbox:{}:{since}", mailbox.mailbox_id),
        tenant_id: mailbox.tenant_id.clone(),
        to,
        language: language(setup, mailbox).await?,
        in_reply_to: None,
        subject: String::new(),
        sentences: Vec::new(),
    };
    let for_long = numbers::ago(now - since);
    let (subject, sentences) = match owed.language {
        Language::En => (
            format!("The mailbox {name} can't be polled"),
            vec![
                format!("Mails in the mailbox {name} ({}) have not been faxed for {for_long}: {failure}.", mailbox.address),
                "They stay there and are faxed as soon as the server lets us in again. “faxpost admin show mailbox” with its \
                 name tells how it is; “set mailbox” changes its settings."
                    .to_owned(),
            ],
        ),
        Language::Fr => (
            format!("La boîte {name} ne peut pas être relevée"),
            vec![
                format!(
                    "Les messages de la boîte {name} ({}) ne sont plus envoyés par fax depuis {for_long}\u{a0}: {failure}.",
                    mailbox.address
                ),
                "Ils y restent et partiront dès que le serveur nous laissera entrer. «\u{a0}faxpost admin show mailbox\u{a0}» \
                 suivi de son nom en donne l'état\u{a0}; «\u{a0}set mailbox\u{a0}» change ses réglages."
                    .to_owned(),
            ],
        ),
    };
    let owed = Owed {
        subject,
        sentences,
        ..owed
    };
    owe(setup, owed, async |tx| {
        Ok(numbers::mailbox_alerted(tx, mailbox, now).await?)
    })
    .await
}

/// The language of a mailbox's people.
pub(super) async fn language(setup: &Setup, mailbox: &Mailbox) -> anyhow::Result<Language> {
    let tenant = people::tenant(&setup.store, &mailbox.tenant_id).await?;
    Ok(tenant.map_or(Language::En, |tenant| tenant.language))
}
