//! A job of HylaFAX's: what its parameters say of the pages.
//!
//! HylaFAX tells neither frames nor pages while it sends: it tells how many pages it counts as sent when
//! its call is over, and why the call ended. What can be known from that is here.

use super::{
    super::{CallOrder, PageVerdict, Verdict},
    client::{Client, ClientError, Reply},
};
use crate::outcome::{self, PageData};

/// When HylaFAX gives a job up by itself, days, hours and minutes: before our own limit for a call is over.
const LAST_TIME: &str = "000330";

/// Where a job is (JPARM STATE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not sent yet: suspended, pending, asleep, blocked or ready.
    Waits,
    /// HylaFAX works on it.
    Active,
    /// It is over, well.
    Done,
    /// It is over, not well.
    Failed,
}

/// What HylaFAX says of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub state: State,
    /// Pages that it counts as sent.
    pub sent: u32,
    /// Pages that it found in the document; 0 before it looked.
    pub pages: u32,
    /// Calls that it placed.
    pub dials: u32,
    /// Calls in which two fax machines talked, as recorded at their end.
    pub tries: u32,
    /// Why the last call failed.
    pub text: String,
}

impl Report {
    /// Reads the answer to JPARM without a parameter; none when it is not about this job. A session that
    /// lost its job, as happens when that is over, answers for a default job full of noughts.
    pub fn read(reply: &Reply, job: u32, tag: &str) -> Option<Self> {
        let value = |name: &str| {
            reply.lines.iter().find_map(|line| {
                let (head, value) = line.trim().split_once(':')?;
                (head == name).then(|| value.trim())
            })
        };
        let count = |name: &str| value(name)?.parse::<u32>().ok();
        // Numbers come round again (1 to 32000): the tag is ours alone.
        if count("JOBID") != Some(job) || value("JOBINFO") != Some(tag) {
            return None;
        }
        Some(Self {
            state: match value("STATE")? {
                "SUSPENDED" | "PENDING" | "SLEEPING" | "BLOCKED" | "READY" => State::Waits,
                "ACTIVE" => State::Active,
                "DONE" => State::Done,
                "FAILED" => State::Failed,
                _ => return None,
            },
            sent: count("NPAGES")?,
            pages: count("TOTPAGES")?,
            dials: count("TOTDIALS")?,
            tries: count("TOTTRIES")?,
            text: value("STATUS").unwrap_or_default().to_owned(),
        })
    }

    /// It is over.
    pub fn is_final(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }

    /// The verdict on each of `pages` pages.
    ///
    /// Confirmed is what HylaFAX counts, and what it counts is only sure once it has recorded a call's end:
    /// where its sender died within the call, the count is that of before. Then all is unknown.
    pub fn verdicts(&self, pages: u32) -> Vec<PageVerdict> {
        let said = if self.text.is_empty() {
            "no reason given"
        } else {
            &self.text
        };
        let data = outcome::page_data(&self.text);
        let whole = self.state == State::Done && self.sent >= self.pages && self.pages > 0;
        let no_fax = data == PageData::None && self.sent == 0;
        // It counts pages of what it made of the document: are they ours? And was the count recorded?
        let ours = self.pages == pages || self.pages == 0;
        let sure = ours && (self.tries > 0 || self.state == State::Done);
        let verdict = |page: u32| {
            if whole || (sure && page < self.sent) {
                Verdict::Confirmed
            } else if no_fax || (sure && page > self.sent) {
                Verdict::Unsent
            } else if sure && data == PageData::Refused {
                Verdict::Refused
            } else {
                Verdict::Unknown
            }
        };
        let evidence = |verdict| match verdict {
            Verdict::Confirmed => format!(
                "HylaFAX counts {} of {} pages as sent",
                self.sent, self.pages
            ),
            _ => format!("HylaFAX: {said}"),
        };
        (0..pages)
            .map(|page| {
                let verdict = verdict(page);
                PageVerdict {
                    page,
                    verdict,
                    evidence: evidence(verdict),
                }
            })
            .collect()
    }
}

/// Makes a job of an order, all but its start: nothing is dialled before [`Client::done`] `JSUBM`.
pub(super) async fn prepare(
    client: &mut Client,
    order: &CallOrder,
    number: &str,
    modem: Option<&str>,
    tag: &str,
    tiff: &[u8],
) -> Result<u32, ClientError> {
    let document = client.store("STOT", tiff).await?;
    let job = client.done("JNEW", "").await?;
    let job = job.number("jobid: ").ok_or(ClientError::Garbled("JNEW"))?;
    let (width, length, lines) = size(order);
    for (name, value) in [
        ("FROMUSER", "faxpost"),
        // hfaxd wants an address; nothing is ever sent there.
        ("NOTIFYADDR", "faxpost"),
        ("NOTIFY", "none"),
        ("JOBINFO", tag),
        ("DIALSTRING", number),
        ("EXTERNAL", number),
        ("PAGECHOP", "none"),
        // The header line is on the pages already: ours is the empty one.
        ("TAGLINE", ""),
    ] {
        client.parameter(name, value).await?;
    }
    // One call, and no other: the ladder of tries is ours.
    for setting in [
        "USETAGLINE YES".to_owned(),
        "MAXDIALS 1".to_owned(),
        "MAXTRIES 1".to_owned(),
        format!("LASTTIME {LAST_TIME}"),
        format!("PAGEWIDTH {width}"),
        format!("PAGELENGTH {length}"),
        format!("VRES {lines}"),
        format!("USEECM {}", if order.ecm { "YES" } else { "NO" }),
        format!("BEGBR {}", rate(order.max_rate)),
    ] {
        client.done("JPARM", &setting).await?;
    }
    if let Some(modem) = modem {
        client.parameter("MODEM", modem).await?;
    }
    if let Some(sub_address) = &order.sub_address {
        client.parameter("SUBADDR", sub_address).await?;
    }
    if let Some(password) = &order.password {
        client.parameter("PASSWD", password.reveal()).await?;
    }
    // Heeded only by modems with `UseJobTSI`; HylaFAX+ and older ones may not know these.
    let _ = client
        .ask("JPARM", &format!("TSI \"{}\"", plain(&order.ident)))
        .await?;
    let _ = client.ask("JPARM", "DONEOP \"remove\"").await?;
    client
        .done("JPARM", &format!("DOCUMENT {document}"))
        .await?;
    Ok(job)
}

fn plain(ident: &str) -> String {
    ident
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "+ -.".contains(*c))
        .collect()
}

/// Width and length in millimetres and lines an inch, of the largest page: pages that are larger than the
/// job says are scaled down.
fn size(order: &CallOrder) -> (usize, usize, u32) {
    use faxpost_t4::Resolution;
    let mut size = (215, 297, 98);
    for page in &order.pages {
        // T.4 §2.1 and §2.2.
        let width = match page.width {
            0..=1728 => 215,
            1729..=2048 => 255,
            _ => 303,
        };
        let (lines, per_mm) = match page.resolution {
            Resolution::Standard => (98, 3.85),
            Resolution::Fine => (196, 7.7),
            Resolution::Superfine => (391, 15.4),
        };
        let length = (page.height as f64 / per_mm).ceil() as usize;
        size = (size.0.max(width), size.1.max(length), size.2.max(lines));
    }
    size
}

/// sendq(5), desiredbr: 0 is 2400 bit/s, each step 2400 more but for the second.
fn rate(most: u32) -> u32 {
    match most {
        0..4800 => 0,
        4800..7200 => 1,
        7200..9600 => 2,
        9600..12_000 => 3,
        12_000..14_400 => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Confirmed, Refused, Unknown, Unsent};

    fn report(state: State, sent: u32, tries: u32, text: &str) -> Report {
        Report {
            state,
            sent,
            pages: 3,
            dials: 1,
            tries,
            text: text.into(),
        }
    }

    fn of(report: &Report) -> Vec<Verdict> {
        let verdicts = report.verdicts(3);
        verdicts.into_iter().map(|page| page.verdict).collect()
    }

    #[test]
    fn promise_3_pages_are_what_hylafax_can_say_of_them() {
        let done = report(State::Done, 3, 1, "");
        assert_eq!(of(&done), [Confirmed; 3]);
        let busy = "Busy signal detected; too many attempts to dial";
        assert_eq!(of(&report(State::Failed, 0, 0, busy)), [Unsent; 3]);
        let cut = "No response to PPS repeated 3 times.; too many attempts to dial";
        assert_eq!(
            of(&report(State::Failed, 1, 1, cut)),
            [Confirmed, Unknown, Unsent]
        );
        let refused = "Unable to transmit page (giving up after RTN)";
        assert_eq!(
            of(&report(State::Failed, 1, 1, refused)),
            [Confirmed, Refused, Unsent]
        );
        // Its sender died within the call: nothing was recorded, so nothing is known.
        let died = "Send program terminated abnormally";
        assert_eq!(of(&report(State::Failed, 0, 0, died)), [Unknown; 3]);
        // Not trained: on a page that is sent again after RTN that comes after page data.
        let train = "Failure to train remote modem at 2400 bps or minimum speed";
        assert_eq!(
            of(&report(State::Failed, 0, 1, train)),
            [Unknown, Unsent, Unsent]
        );
    }

    #[test]
    fn promise_3_a_count_of_other_pages_than_ours_confirms_only_the_whole() {
        let mut other = report(State::Failed, 1, 1, "Remote fax disconnected prematurely");
        other.pages = 4;
        assert_eq!(of(&other), [Unknown; 3]);
        (other.state, other.sent) = (State::Done, 4);
        assert_eq!(of(&other), [Confirmed; 3]);
        other.sent = 3;
        assert_eq!(of(&other), [Unknown; 3]);
    }

    #[test]
    fn a_report_is_read_only_from_its_own_job() {
        let reply = |job: &str| {
            Reply {
            code: 217,
            lines: format!(
                "Job state: jobid {job} groupid 6\n    STATE: FAILED\n    STATUSCODE: 333\n    \
                 STATUS: No response to PPS repeated 3 times.; too many attempts to dial\n    \
                 JOBID: {job}\n    JOBINFO: tag\n    TOTPAGES: 2\n    NPAGES: 1\n    NDIALS: 0\n    \
                 TOTDIALS: 1\n    TOTTRIES: 1\nEnd of job {job} state."
            )
            .lines()
            .map(str::to_owned)
            .collect(),
        }
        };
        let read = Report::read(&reply("6"), 6, "tag").unwrap();
        assert_eq!((read.state, read.sent, read.pages), (State::Failed, 1, 2));
        assert_eq!((read.dials, read.tries), (1, 1));
        assert!(read.text.starts_with("No response to PPS"));
        assert_eq!(Report::read(&reply("7"), 6, "tag"), None);
        assert_eq!(Report::read(&reply("6"), 6, "other"), None);
        assert_eq!(Report::read(&reply("default"), 6, "tag"), None);
    }
}
