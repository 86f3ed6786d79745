//! The house as it is: the directory in the database, and the submitter.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    Answer, Reply,
    house::{House, Kept, Limited, Mail, NotTaken, PostmasterMail},
    postmaster::Postmaster,
    replies::{self, Said},
};
use crate::{
    books,
    clock::{Millis, now_ms},
    dial::Destination,
    inbox::SendOn,
    language::Told,
    letter,
    people::{self, Terms},
    queue,
    relay::{
        self, NewMail, Recorded, ReturnPaths,
        bounce::{Bounce, Fate},
    },
    sender::{Directory, DirectoryDown, Person, Secret},
    store::{Store, StoreError, Topic, Tries, new_id},
    submission::{
        AcceptError, Letter, NewRecipient, NewSubmission, NotAgain, OverLimit, Submitter, once_more,
    },
    tokens::{Invalid, Token, Tokens},
    trouble::Trouble,
};

/// How long a letter may wait for the relay.
const LETTER_LASTS: Millis = 72 * 3_600_000;

/// The rooms behind the SMTP door.
pub struct Rooms {
    return_paths: ReturnPaths,
    send_on: SendOn,
    store: Store,
    submitter: Submitter,
    postmaster: Postmaster,
    domains: Domains,
    tokens: Tokens,
}

impl Rooms {
    /// Asks the directory in `store`, keeps with `submitter`; `send_on` has what comes back to `return_paths`.
    #[must_use]
    pub fn new(
        store: Store,
        submitter: Submitter,
        postmaster: Postmaster,
        tokens: Tokens,
        return_paths: ReturnPaths,
        send_on: SendOn,
    ) -> Self {
        Self {
            return_paths,
            send_on,
            store,
            submitter,
            postmaster,
            domains: Domains::default(),
            tokens,
        }
    }
}

impl Rooms {
    /// Has the mail of a submission that is over faxed once more. The token's nonce is on record with the new
    /// submission, in one transaction: of two such replies one makes faxes.
    async fn resend(&self, reply: Reply) -> Result<String, Answer> {
        let refused = |why: &dyn std::fmt::Display| Answer::new(550, "5.7.1", why.to_string());
        if reply.token.action != queue::actions::UNDER_WAY {
            return Err(refused(&NotAgain::UnderWay));
        }
        let (store, token) = (&self.store, &reply.token);
        let once_more = once_more(
            store,
            self.submitter.custody(),
            reply.sender,
            &token.subject,
        );
        let once_more = once_more.await.map_err(|error| later(&error))?;
        let once_more = once_more.map_err(|why| refused(&why))?;
        // What was allowed then may be denied by now.
        let (tenant, user) = (&token.tenant_id, &once_more.sender.user().user_id);
        let allowed = people::allowed_for(store, tenant, user).await;
        let allowed = allowed.map_err(|error| later(&down(error)))?;
        for recipient in &once_more.recipients {
            if let Some(why) = allowed.refusal(&recipient.destination) {
                return Err(refused(&format!("{}: {}", recipient.destination, why.en)));
            }
        }
        let accepted = self.submitter.accept_anew(once_more, token.nonce()).await;
        let accepted = accepted.map_err(|error| {
            let not_taken = not_taken(error);
            let (code, status) = match not_taken.trouble {
                Trouble::Temporary => (451, "4.3.0"),
                Trouble::Permanent => (554, "5.3.0"),
            };
            Answer::new(code, status, not_taken.sentence)
        })?;
        let spent = async {
            let mut tx = store.begin().await?;
            self.tokens.consume(&mut tx, token).await?;
            tx.commit().await
        };
        if let Err(error) = spent.await {
            // It makes nothing twice all the same.
            tracing::warn!(%error, "a token that has served can't be marked");
        }
        Ok(replies::resent(&accepted))
    }

    /// Owes the notice that a copy of a mail came. What was accepted stays so when that fails.
    async fn owe_again(&self, tenant_id: &str, submission: &str) {
        let owed = async {
            let mut tx = self.store.begin().await?;
            queue::owe_again(&mut tx, tenant_id, submission, &self.send_on.hostname).await?;
            tx.commit().await
        };
        if let Err(error) = owed.await {
            tracing::warn!(submission, %error, "a copy came, and its sender can't be told");
        }
        self.store.wake(Topic::Outbox);
    }
}

/// Whose the fax domains are: few of them, asked for with every recipient. An answer serves for a
/// second, so a domain that is taken away is refused a second later. Domains that nobody has are not
/// remembered: there is no end of them, and one that is added is taken at once.
#[derive(Default)]
struct Domains(Mutex<HashMap<String, (String, Instant)>>);

impl Domains {
    const LASTS: Duration = Duration::from_secs(1);
    /// More than are ever in use within a second; what is beyond is asked for again.
    const MOST: usize = 1024;

    /// The tenant of a domain, if it was learnt within the last second.
    fn known(&self, domain: &str, now: Instant) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tenant, learnt) = known.get(domain)?;
        (now.duration_since(*learnt) < Self::LASTS).then(|| tenant.clone())
    }

    fn learn(&self, domain: &str, tenant: &str, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(domain.to_owned(), (tenant.to_owned(), now));
    }
}

fn person(user: people::User) -> Person {
    Person {
        tenant_id: user.tenant_id,
        user_id: user.user_id,
        group_id: user.group_id,
        address: user.address,
    }
}

/// Whatever the database says, nobody is called unknown because of it.
fn down(error: StoreError) -> DirectoryDown {
    tracing::error!(%error, "the directory can't be read");
    DirectoryDown
}

#[async_trait]
impl Directory for Rooms {
    async fn person_by_address(&self, address: &str) -> Result<Option<Person>, DirectoryDown> {
        let user = people::user_by_address(&self.store, address).await;
        // A guest is let in by a rule that says so, each time.
        let own = |user: &people::User| user.role != people::Role::Guest;
        Ok(user.map_err(down)?.filter(own).map(person))
    }

    async fn person_by_secret(&self, secret: &Secret) -> Result<Option<Person>, DirectoryDown> {
        let user = people::user_by_secret(&self.store, secret.text()).await;
        Ok(user.map_err(down)?.map(person))
    }

    async fn known_guest(&self, address: &str) -> Result<Option<Person>, DirectoryDown> {
        let user = people::user_by_address(&self.store, address).await;
        Ok(user.map_err(down)?.map(person))
    }

    async fn guest(
        &self,
        tenant: &str,
        group: &str,
        address: &str,
    ) -> Result<Option<Person>, DirectoryDown> {
        let user = people::guest(&self.store, tenant, group, address).await;
        Ok(user.map_err(down)?.map(person))
    }
}

#[async_trait]
impl House for Rooms {
    async fn tenant_of_domain(&self, domain: &str) -> Result<Option<String>, DirectoryDown> {
        // Before the database is asked: an answer is as old as the question.
        let now = Instant::now();
        if let Some(tenant) = self.domains.known(domain, now) {
            return Ok(Some(tenant));
        }
        let found = people::tenant_by_domain(&self.store, domain).await;
        let tenant = found.map_err(down)?.map(|tenant| tenant.tenant_id);
        if let Some(tenant) = &tenant {
            self.domains.learn(domain, tenant, now);
        }
        Ok(tenant)
    }

    async fn not_allowed(
        &self,
        tenant_id: &str,
        user_id: &str,
        number: &Destination,
    ) -> Result<Option<Told>, DirectoryDown> {
        match people::allowed_for(&self.store, tenant_id, user_id).await {
            Ok(allowed) => Ok(allowed.refusal(number.as_str())),
            Err(error) => Err(down(error)),
        }
    }

    async fn terms(&self, tenant_id: &str, user_id: &str) -> Result<Terms, DirectoryDown> {
        people::terms_for(&self.store, tenant_id, user_id)
            .await
            .map_err(down)
    }

    async fn contacts(
        &self,
        tenant_id: &str,
        user_id: &str,
        name: &str,
    ) -> Result<Option<Vec<books::Contact>>, DirectoryDown> {
        // Guests are no colleagues: whom these know is not theirs to try out.
        let user = people::user(&self.store, tenant_id, user_id).await;
        let user = user.map_err(down)?;
        if user.is_none_or(|user| user.role == people::Role::Guest) {
            return Ok(None);
        }
        let found = books::find(&self.store, tenant_id, user_id, name).await;
        found.map_err(down)
    }

    async fn callers(&self, tenant_id: &str, user_id: &str) -> Result<Vec<String>, DirectoryDown> {
        people::callers_for(&self.store, tenant_id, user_id)
            .await
            .map_err(down)
    }

    async fn login(&self, login: &str, password: &str) -> Result<Option<Person>, DirectoryDown> {
        let user = people::check_mail_password(&self.store, login, password).await;
        Ok(user.map_err(down)?.map(person))
    }

    async fn scram(
        &self,
        login: &str,
    ) -> Result<(Option<Person>, people::Verifier), DirectoryDown> {
        let found = people::scram_verifier(&self.store, login).await;
        let (user, verifier) = found.map_err(down)?;
        Ok((user.map(person), verifier))
    }

    async fn accept(&self, mail: Mail) -> Result<Kept, NotTaken> {
        let mut mail = mail;
        let refused = std::mem::take(&mut mail.refused);
        let mut submission = submission(mail);
        if !refused.is_empty() {
            let letter = refusal(&self.store, &self.send_on, &submission, refused).await?;
            submission.letters.push(letter);
        }
        let tenant_id = submission.sender.tenant_id().to_owned();
        let accepted = self.submitter.accept(submission).await;
        let accepted = accepted.map_err(not_taken)?;
        let (submission, again) = (&accepted.submission_id, accepted.again.len());
        if again > 0 {
            let faxed = accepted.jobs.len();
            let of = &accepted.again;
            tracing::info!(
                submission,
                ?of,
                faxed,
                again,
                "a mail came again: not faxed twice"
            );
        }
        // Before the 250: a client that hears none sends again, and this is owed then.
        for first in &accepted.copies {
            self.owe_again(&tenant_id, first).await;
        }
        Ok(Kept {
            faxed: accepted.jobs.len(),
            again,
            submission: accepted.submission_id,
        })
    }

    async fn token(&self, text: &str) -> Result<Result<Token, Invalid>, DirectoryDown> {
        self.tokens.read(&self.store, text).await.map_err(down)
    }

    async fn reply(&self, reply: Reply) -> Result<String, Answer> {
        let failed = |error: StoreError| later(&error);
        let (token, sender) = (&reply.token, &reply.sender);
        // Whose address the mail went to: it may not be their first one any more.
        let asked = people::user_by_address(&self.store, &token.address).await;
        let asked = asked.map_err(failed)?;
        let theirs = asked.is_some_and(|asked| {
            asked.tenant_id == token.tenant_id && asked.user_id == sender.user().user_id
        });
        if !theirs || sender.tenant_id() != token.tenant_id {
            return Err(replies::not_yours());
        }
        let Said::Word(word) = reply.said else {
            return self.resend(reply).await;
        };
        let hostname = &self.send_on.hostname;
        let done = queue::reply(&self.store, &self.tokens, token, word, hostname).await;
        let done = done.map_err(failed)?;
        let submission = &token.subject;
        tracing::info!(submission, ?word, done = done.is_ok(), "a reply was read");
        match done {
            Ok(done) => Ok(replies::done(&done)),
            Err(why) => Err(replies::without_effect(why)),
        }
    }

    fn returned_mail(&self, local_part: &str) -> Option<String> {
        self.return_paths.mail_of(local_part)
    }

    async fn returned(&self, mail_id: &str, bounce: &Bounce) -> Result<(), NotTaken> {
        let again = |sentence: &str| NotTaken::new(Trouble::Temporary, sentence);
        let mut tries = Tries::default();
        let taken = loop {
            let done = returned(&self.store, &self.send_on, mail_id, bounce).await;
            let store_error = done
                .as_ref()
                .err()
                .and_then(|error| error.downcast_ref::<StoreError>());
            if let Some(error) = store_error
                && tries.again(error).await
            {
                continue;
            }
            break done;
        };
        match taken {
            Ok(true) => Ok(()),
            Ok(false) => Err(again(
                "the mail that this is about is being sent just now: try again in a minute",
            )),
            Err(error) => {
                tracing::error!(
                    mail = mail_id,
                    error = format!("{error:#}"),
                    "what came back can't be recorded"
                );
                Err(again(
                    "the report can't be kept just now: try again in a few minutes",
                ))
            }
        }
    }

    async fn postmaster(&self) -> Result<Option<String>, DirectoryDown> {
        self.postmaster.address(&self.store).await.map_err(down)
    }

    async fn hand_on(&self, mail: PostmasterMail) -> Result<String, NotTaken> {
        self.postmaster
            .hand_on(&self.store, mail)
            .await
            .map_err(|error| {
                tracing::error!(
                    error = format!("{error:#}"),
                    "a mail to postmaster could not be kept"
                );
                let sentence = "the mail can't be kept just now: try again in a few minutes";
                NotTaken::new(Trouble::Temporary, sentence)
            })
    }
}

/// Records what came back and what follows from it; `false` when it comes too early.
async fn returned(
    store: &Store,
    send_on: &SendOn,
    mail_id: &str,
    bounce: &Bounce,
) -> anyhow::Result<bool> {
    if bounce.fate != Fate::Failed {
        tracing::info!(mail = mail_id, fate = ?bounce.fate, "a report on a mail of ours");
        return Ok(true);
    }
    let mut tx = store.begin().await?;
    match relay::record_bounce(&mut tx, mail_id, bounce, now_ms()).await? {
        Recorded::Now(mail) => {
            tracing::warn!(
                mail = mail_id,
                status = bounce.status,
                "a mail of ours came back"
            );
            send_on.bounced(&mut tx, &mail).await?;
            tx.commit().await?;
            store.wake(Topic::Outbox);
            Ok(true)
        }
        Recorded::Before => Ok(true),
        Recorded::NotYet => Ok(false),
    }
}

fn submission(mail: Mail) -> NewSubmission {
    NewSubmission {
        submission_id: new_id(),
        letters: Vec::new(),
        sender: mail.sender,
        door: mail.door,
        told_by: mail.told_by,
        reverse_path: mail.reverse_path,
        envid: mail.envid,
        ret: mail.ret.map(str::to_owned),
        message: mail.message,
        message_id: mail.message_id,
        subject: mail.subject,
        password: mail.password,
        options: mail.options,
        recipients: mail
            .recipients
            .into_iter()
            .map(|recipient| NewRecipient {
                destination: recipient.destination.to_string(),
                sub_address: recipient.sub_address.map(|sub| sub.to_string()),
                given: recipient.address,
                name: recipient.name,
                options: recipient.options,
                notify: recipient.notify,
                orcpt: recipient.orcpt,
            })
            .collect(),
    }
}

/// The letter that names what is refused of a submission.
async fn refusal(
    store: &Store,
    writes: &SendOn,
    submission: &NewSubmission,
    refused: Vec<letter::Refused>,
) -> Result<Letter, NotTaken> {
    let (tenant, user) = (submission.sender.tenant_id(), submission.sender.user());
    let settings = people::settings_for(store, tenant, &user.user_id).await;
    let settings = settings.map_err(|error| not_taken(error.into()))?;
    let message_id = format!("{}.refusal@{}", submission.submission_id, writes.hostname);
    let accepted = submission.recipients.iter();
    let bytes = letter::refusal(&letter::Refusal {
        message_id: message_id.clone(),
        from: writes.from.clone(),
        to: user.address.clone(),
        date_ms: now_ms(),
        language: settings.language,
        in_reply_to: submission.message_id.clone(),
        subject: submission.subject.clone(),
        submission_id: submission.submission_id.clone(),
        refused,
        accepted: accepted.map(|to| to.destination.clone()).collect(),
    });
    let bytes = bytes.map_err(|error| {
        tracing::error!(%error, "a letter can't be written");
        NotTaken {
            trouble: Trouble::Temporary,
            sentence: "the mail can't be kept just now: try again in a few minutes".into(),
            limited: None,
        }
    })?;
    let mail = NewMail {
        tenant_id: tenant.to_owned(),
        purpose: format!("refusal:{}", submission.submission_id),
        about: String::new(),
        message_id,
        return_path: String::new(),
        recipient: user.address.clone(),
        deadline: now_ms() + LETTER_LASTS,
    };
    Ok(Letter { mail, bytes })
}

/// What can be done again later. What failed is for the log.
fn later(error: &dyn std::fmt::Display) -> Answer {
    tracing::error!(%error, "a reply can't be carried out");
    let words = "nothing can be changed just now: try again in a few minutes";
    Answer::new(451, "4.3.0", words)
}

/// The client hears what to do; what failed inside is for the log.
fn not_taken(error: AcceptError) -> NotTaken {
    let trouble = error.trouble();
    if let AcceptError::OverLimit(over) = error {
        tracing::info!(limit = over.limit, unit = ?over.unit, "a mail is beyond a day's limit");
        return over_limit(&over);
    }
    tracing::error!(%error, ?trouble, "a mail could not be kept");
    let sentence = match (&error, trouble) {
        (AcceptError::Stopping, _) => "the server is stopping: try again in a few minutes",
        (_, Trouble::Temporary) => "the mail can't be kept just now: try again in a few minutes",
        (_, Trouble::Permanent) => {
            "the mail can't be kept, and trying again won't help: tell your administrator, whose log \
             has the reason"
        }
    };
    NotTaken::new(trouble, sentence)
}

fn over_limit(over: &OverLimit) -> NotTaken {
    NotTaken {
        limited: Some(Limited { wait: over.wait() }),
        ..NotTaken::new(over.trouble(), over.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sqlx::Row as _;

    use super::*;
    use crate::{
        dial::DialPlan,
        front::{Envelope, FaxRecipient, Intake, Recipient},
        people::{Language, NewTenant, NewUser},
        policy::Daily,
        sender::{Peer, Prover, SenderRules},
        store::{blobs::Blobs, testing::on_each_database},
        tokens::Tokens,
        vault::{Custody, Vault},
    };

    #[test]
    fn a_domain_is_known_for_a_second_and_there_are_not_too_many() {
        let domains = Domains::default();
        let now = Instant::now();
        assert_eq!(domains.known("a.example", now), None);
        domains.learn("a.example", "t", now);
        let soon = now + Domains::LASTS - Duration::from_millis(1);
        assert_eq!(domains.known("a.example", soon).as_deref(), Some("t"));
        assert_eq!(domains.known("b.example", soon), None);
        assert_eq!(domains.known("a.example", now + Domains::LASTS), None);
        for n in 0..3 * Domains::MOST {
            domains.learn(&n.to_string(), "t", now);
        }
        assert!(domains.0.lock().unwrap().len() <= Domains::MOST);
    }

    /// A tenant with the domain fax.example.com and the user ada, and the submitter.
    async fn house(store: &Store) -> (tempfile::TempDir, Rooms) {
        let dir = tempfile::tempdir().unwrap();
        let mut tx = store.begin().await.unwrap();
        let tenant = NewTenant {
            name: "North".into(),
            language: Language::En,
            time_zone: "Europe/Paris".into(),
        };
        let tenant_id = people::create_tenant(&mut tx, &tenant).await.unwrap();
        people::add_domain(&mut tx, &tenant_id, "fax.example.com")
            .await
            .unwrap();
        let user_id = people::add_user(
            &mut tx,
            &NewUser {
                tenant_id: tenant_id.clone(),
                group_id: None,
                name: "Ada".into(),
                address: "Ada@example.com".into(),
                role: people::Role::User,
                plan: people::Plan::SendReceive,
                language: None,
                caller_number: None,
            },
        )
        .await
        .unwrap();
        people::set_mail_password(&mut tx, &tenant_id, &user_id, Some("ada sings"))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        let custody = Custody::new(Vault::open(&dir.path().join("keys")).unwrap(), blobs);
        let tariffs = toml::from_str(
            "held_pages = 10\n[[tariff]]\nname = 'all'\nprefix = ''\npage_price = 0",
        )
        .unwrap();
        let rules = crate::policy::Accepting::load(None).unwrap();
        let submitter = Submitter::start(
            store.clone(),
            custody.clone(),
            tariffs,
            rules.same_mail,
            Daily::default(),
        );
        let postmaster = Postmaster::new(custody.clone(), &crate::config::Relay::default());
        let tokens = Tokens::open(&custody.vault()).unwrap();
        let return_paths = ReturnPaths::new(tokens.clone(), None);
        let send_on = SendOn {
            store: store.clone(),
            custody,
            from: "fax@fax.example.com".into(),
            hostname: "fax.example.com".into(),
            kept_ms: 1_000_000,
        };
        let rooms = Rooms::new(
            store.clone(),
            submitter,
            postmaster,
            tokens,
            return_paths,
            send_on,
        );
        (dir, rooms)
    }

    on_each_database! {
        async fn the_directory_answers_whatever_the_case(store) {
            let (_dir, rooms) = house(&store).await;
            let ada = rooms.person_by_address("ADA@example.com").await.unwrap().unwrap();
            assert_eq!(ada.address, "ada@example.com");
            assert_eq!(rooms.person_by_address("eve@example.com").await, Ok(None));
            assert_eq!(
                rooms.tenant_of_domain("fax.example.com").await.unwrap(),
                Some(ada.tenant_id.clone())
            );
            assert_eq!(rooms.tenant_of_domain("example.com").await, Ok(None));
            assert_eq!(rooms.login("ada@example.com", "ada sings").await, Ok(Some(ada)));
            assert_eq!(rooms.login("ada@example.com", "wrong").await, Ok(None));
            assert_eq!(rooms.login("eve@example.com", "ada sings").await, Ok(None));
        }

        async fn a_mail_is_a_job_before_its_answer(store) {
            let (_dir, rooms) = house(&store).await;
            let rules = SenderRules::load(None).unwrap();
            let prover = Prover::new(rules, None);
            let intake = Intake::new(Arc::new(rooms), prover, DialPlan::load(None).unwrap());
            let peer = Peer { address: "127.0.0.1".parse().ok(), greeting: "here", login: None, certificate: None };
            let claim = intake.sender(peer, "ada@example.com").await.unwrap();
            let address = "+33-1-23456789@fax.example.com";
            let mut envelope = Envelope {
                claim,
                tenant: None,
                secrets: vec![],
                reverse_path: "ada@example.com".into(),
                envid: Some("e1".into()),
                ret: Some("HDRS"),
                recipients: vec![],
                named: vec![],
                postmaster: false,
                reply: None,
                returned: vec![],
            };
            let found = intake.recipient(&envelope, address).await.unwrap();
            let Recipient::Number(number) = found else {
                panic!("no number");
            };
            let recipient = FaxRecipient {
                destination: number.address.destination,
                sub_address: number.address.sub_address,
                address: address.into(),
                name: None,
                wishes: number.wishes,
                options: crate::options::Options::default(),
                notify: Some("NEVER".into()),
                orcpt: None,
            };
            envelope.recipients.push(recipient);
            let message = b"From: ada@example.com\r\nSubject: hi\r\nMessage-ID: <1@x>\r\n\r\nhi\r\n";
            let answer = intake.message(envelope, message.to_vec(), false).await.as_one();
            assert_eq!((answer.code, answer.status), (250, "2.0.0"));
            let id = answer.text.split(' ').next().unwrap();
            let row = sqlx::query(
                "SELECT s.proof, s.report_to, s.message_id, s.subject, s.ret, s.envid, s.door,
                        j.destination, j.recipient, j.notify
                 FROM submission s JOIN job j ON j.tenant_id = s.tenant_id AND j.submission_id = s.submission_id
                 WHERE s.submission_id = $1",
            )
            .bind(id)
            .fetch_one(store.reader())
            .await
            .unwrap();
            let found: Vec<String> = (0..10).map(|column| row.get(column)).collect();
            assert_eq!(
                found,
                [
                    "network 127.0.0.1",
                    "ada@example.com",
                    "1@x",
                    "hi",
                    "HDRS",
                    "e1",
                    "smtp",
                    "+33123456789",
                    address,
                    "NEVER",
                ]
            );
        }
    }
}
