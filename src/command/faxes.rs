//! Commands about faxes that are under way.

use super::{CommandError, Gateway, grammar::Line};
use crate::queue::{self, Cancelled, CancelledJob, State};

/// `cancel JOB|SUBMISSION`
pub(super) async fn cancel(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let id = line.word("the id of a fax or of a submission, as the report and the 250 give it")?;
    line.end()?;
    // ULIDs are written in capitals, and read in any case.
    let id = id.to_ascii_uppercase();
    let done = queue::cancel(gateway.store, &id, gateway.hostname).await?;
    if done.is_empty() {
        return Err(CommandError::Refused(format!(
            "there is no fax and no submission {id}"
        )));
    }
    let changed =
        |job: &CancelledJob| !matches!(job.result, Cancelled::Already | Cancelled::Over(_));
    let lines: Vec<String> = done.iter().map(words).collect();
    let text = lines.join("\n");
    if done.iter().any(changed) {
        Ok(text)
    } else {
        Err(CommandError::Refused(text))
    }
}

fn words(job: &CancelledJob) -> String {
    let what = match job.result {
        Cancelled::Now(State::Waiting) => {
            "is cancelled: it is not called again; the report says what was confirmed".to_owned()
        }
        Cancelled::Now(_) => "is cancelled: it was not called yet".to_owned(),
        Cancelled::Dialling => "is being called: the call is hung up before any page".to_owned(),
        Cancelled::BeforeItsTurn => {
            "shares a call with other faxes and is left out: the call ends before it, and those behind it have another"
                .to_owned()
        }
        Cancelled::AfterThisPage => {
            "is on the line: the call ends after the page in progress, and the report says what was confirmed"
                .to_owned()
        }
        Cancelled::Already => {
            "was cancelled before: its call ends after the page in progress".to_owned()
        }
        Cancelled::Over(State::Cancelled) => "was cancelled before".to_owned(),
        Cancelled::Over(state) => {
            format!("can't be cancelled: it has ended already ({state})")
        }
    };
    format!("{} to {} {what}", job.job_id, job.destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_has_its_sentence() {
        let say = |result| {
            words(&CancelledJob {
                job_id: "J".into(),
                destination: "+331".into(),
                result,
            })
        };
        let mut all: Vec<String> = [
            Cancelled::Now(State::Ready),
            Cancelled::Now(State::Waiting),
            Cancelled::Dialling,
            Cancelled::BeforeItsTurn,
            Cancelled::AfterThisPage,
            Cancelled::Already,
            Cancelled::Over(State::Cancelled),
            Cancelled::Over(State::Sent),
        ]
        .map(say)
        .to_vec();
        assert!(all.iter().all(|text| text.starts_with("J to +331 ")));
        assert!(all[7].contains("(sent)"));
        all.dedup();
        assert_eq!(all.len(), 8);
    }
}
