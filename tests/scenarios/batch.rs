//! Waiting faxes of one user to one number share a call, where the profile says so; each keeps its own pages,
//! evidence, units and report.

use crate::support::{
    FAR_NUMBER, Job, Rig, RigBuilder,
    letters::{self, Letter},
    scripted::{Answer::*, Script, ScriptedFax},
    short_waits,
};

/// One unit a page.
const TARIFFS: &str =
    "held_pages = 10\n[[tariff]]\nname = \"all\"\nprefix = \"\"\npage_price = 1000\n";
/// A cover and a page behind it.
const TWO_PAGES: &[(&str, &str, &[u8])] = &[("text/plain", "page.txt", b"One.")];

const CALLS: &str = "SELECT COUNT(*) FROM call WHERE direction = 'out'";

fn line() -> RigBuilder {
    Rig::builder()
        .policy("tariffs.toml", TARIFFS)
        .policy("sending.toml", &short_waits(false))
}

/// Mails with these subjects, each of two pages, wait for the trunk; then it is turned on.
async fn let_go(rig: &Rig, faxes: &[(&str, &str)]) {
    rig.admin("set trunk \"far end\" off");
    for (subject, to) in faxes {
        rig.mail(&[to], &letters::message(subject, "Hello.", TWO_PAGES))
            .await;
    }
    rig.until("all wait for the trunk", async || {
        let jobs = rig.jobs().await;
        let ready = jobs.iter().filter(|job| job.state == "ready").count();
        (ready == faxes.len()).then_some(())
    })
    .await;
    rig.admin("set trunk \"far end\" on");
}

async fn reports(rig: &Rig, subjects: &[&str]) -> Vec<Letter> {
    let mut all = Vec::new();
    for subject in subjects {
        all.push(rig.wait_report(subject).await);
    }
    all
}

/// State and calls of each job, in the order in which they were accepted.
fn ended(jobs: &[Job]) -> Vec<(&str, i64)> {
    jobs.iter()
        .map(|job| (job.state.as_str(), job.tries))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_faxes_to_one_number_share_a_call_when_the_profile_says_so() {
    let rig = line().start().await;
    rig.admin("set profile Basic batch 3");
    let to = (FAR_NUMBER, FAR_NUMBER);
    let subjects = ["First", "Second", "Third"];
    let_go(&rig, &[("First", to.0), ("Second", to.0), ("Third", to.1)]).await;
    let reports = reports(&rig, &subjects).await;
    for (report, subject) in reports.iter().zip(subjects) {
        report.assert_says(&format!("{FAR_NUMBER}: sent"));
        let start = format!("Sent: {subject} (2 pages");
        assert!(report.subject.starts_with(&start), "{}", report.subject);
    }
    assert_eq!(rig.count(CALLS).await, 1);
    assert_eq!(rig.count("SELECT COUNT(*) FROM leg").await, 3);
    let jobs = rig.jobs().await;
    assert_eq!(ended(&jobs), [("sent", 1); 3]);
    // Each has its own pages, answered by their own commands: EOM behind a document that another follows.
    let evidence: Vec<Vec<String>> = [
        rig.evidence(&jobs[0].job_id).await,
        rig.evidence(&jobs[1].job_id).await,
        rig.evidence(&jobs[2].job_id).await,
    ]
    .into();
    assert_eq!(
        evidence.concat(),
        [
            "MCF to PPS-MPS",
            "MCF to PPS-EOM",
            "MCF to PPS-MPS",
            "MCF to PPS-EOM",
            "MCF to PPS-MPS",
            "MCF to PPS-EOP"
        ]
    );
    // And its own units.
    let holds: Vec<_> = rig.holds().await.into_iter().map(|h| (h.2, h.3)).collect();
    assert_eq!(holds, [(Some(2000), Some(2)); 3]);
    // What arrived is what was drawn for each, its header lines counting its own pages.
    let sent = faxpost::queue::pages_of_last_call(&rig.store, &rig.custody())
        .await
        .unwrap();
    let received = rig.far_fax(1).await;
    assert_eq!((sent.len(), received.len()), (6, 6));
    for (number, (sent, received)) in sent.iter().zip(&received).enumerate() {
        let pixels = |page: &faxpost_t4::FaxPage| {
            faxpost_t4::decode(&page.data, page.coding, page.width, Some(page.height)).unwrap()
        };
        assert!(pixels(sent) == pixels(received), "page {}", number + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faxes_have_calls_of_their_own_unless_the_profile_says_otherwise() {
    let rig = line().start().await;
    let subjects = ["First", "Second", "Third"];
    let to = FAR_NUMBER;
    let_go(&rig, &[("First", to), ("Second", to), ("Third", to)]).await;
    reports(&rig, &subjects).await;
    assert_eq!(rig.count(CALLS).await, 3);
    assert_eq!(ended(&rig.jobs().await), [("sent", 1); 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faxes_to_different_sub_addresses_never_share_a_call() {
    let rig = line().without_far_end().start().await;
    let script = Script::ecm(&[]).taking_sub_address();
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[script]).await;
    rig.admin("set profile Basic batch 10");
    let behind = |sub: &str| format!("{FAR_NUMBER}/T33S={sub}");
    let (seven, eight) = (behind("7"), behind("8"));
    let faxes = [
        ("Alpha", &*seven),
        ("Beta", &*eight),
        ("Gamma", &*seven),
        ("Delta", FAR_NUMBER),
    ];
    let_go(&rig, &faxes).await;
    reports(&rig, &["Alpha", "Beta", "Gamma", "Delta"]).await;
    assert_eq!(ended(&rig.jobs().await), [("sent", 1); 4]);
    // Those to the same one do; SUB is said before each document, as phase B begins anew.
    let subs: Vec<Vec<String>> = (far.frames().into_iter())
        .map(|call| {
            call.into_iter()
                .filter(|name| name.starts_with("SUB"))
                .collect()
        })
        .collect();
    assert_eq!(subs, [vec!["SUB 7"; 2], vec!["SUB 8"], vec![]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_carries_no_more_pages_than_the_policy_allows() {
    let policy = format!("batch = 20\nbatch_pages = 4\n{}", short_waits(false));
    let rig = line().policy("sending.toml", &policy).start().await;
    let to = FAR_NUMBER;
    let_go(&rig, &[("Alpha", to), ("Beta", to), ("Gamma", to)]).await;
    reports(&rig, &["Alpha", "Beta", "Gamma"]).await;
    let legs =
        "SELECT CAST(COUNT(*) AS BIGINT) FROM leg GROUP BY call_id ORDER BY COUNT(*) DESC LIMIT 1";
    assert_eq!((rig.count(CALLS).await, rig.count(legs).await), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_break_in_the_second_fax_leaves_the_first_sent_and_the_others_to_be_tried_again()
 {
    let rig = line().without_far_end().start().await;
    rig.admin("set profile Basic batch 5");
    // The second page of the second fax is refused; with error correction that ends the call.
    let scripts = [Script::ecm(&[Mcf, Mcf, Mcf, Rtn]), Script::ecm(&[])];
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &scripts).await;
    let to = FAR_NUMBER;
    let_go(&rig, &[("Alpha", to), ("Beta", to), ("Gamma", to)]).await;
    let reports = reports(&rig, &["Alpha", "Beta", "Gamma"]).await;
    reports[0].assert_says("Calls placed: 1");
    reports[1].assert_says("Calls placed: 2");
    let jobs = rig.jobs().await;
    assert_eq!(ended(&jobs), [("sent", 1), ("sent", 2), ("sent", 2)]);
    let told = async |job: &Job| {
        let reports = rig.page_reports(&job.job_id).await;
        let say =
            |(leg, page, verdict): (usize, i64, String)| format!("{leg}: {} {verdict}", page + 1);
        reports.into_iter().map(say).collect::<Vec<_>>()
    };
    assert_eq!(told(&jobs[0]).await, ["0: 1 confirmed", "0: 2 confirmed"]);
    assert_eq!(
        told(&jobs[1]).await,
        ["0: 1 confirmed", "0: 2 refused", "1: 2 confirmed"]
    );
    assert_eq!(
        told(&jobs[2]).await,
        [
            "0: 1 unsent",
            "0: 2 unsent",
            "1: 1 confirmed",
            "1: 2 confirmed"
        ]
    );
    // The rest went together again.
    assert_eq!(rig.count(CALLS).await, 2);
    assert_eq!(
        far.pages(1),
        [
            "PPS-EOM", "> MCF", "PPS-MPS", "> MCF", "PPS-EOP", "> MCF", "DCN"
        ]
    );
    let holds: Vec<_> = rig.holds().await.into_iter().map(|h| (h.2, h.3)).collect();
    assert_eq!(holds, [(Some(2000), Some(2)); 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_that_is_cancelled_before_its_turn_on_a_call_is_left_out() {
    let rig = line().speed(2).without_far_end().start().await;
    rig.admin("set profile Basic batch 5");
    let far = ScriptedFax::start(rig.far_address(), 2, &[Script::ecm(&[])]).await;
    let to = FAR_NUMBER;
    let_go(&rig, &[("Alpha", to), ("Beta", to), ("Gamma", to)]).await;
    rig.wait_job(&["sending"]).await;
    let jobs = rig.jobs().await;
    let said = rig.admin(&format!("cancel {}", jobs[1].job_id));
    assert!(said.contains("is left out"), "{said}");
    let reports = reports(&rig, &["Alpha", "Beta", "Gamma"]).await;
    reports[0].assert_says(&format!("{FAR_NUMBER}: sent"));
    reports[1].assert_says("The fax was cancelled.");
    reports[2].assert_says(&format!("{FAR_NUMBER}: sent"));
    // The call ended before it, with DCN; who was behind it had another.
    let jobs = rig.jobs().await;
    assert_eq!(ended(&jobs), [("sent", 1), ("cancelled", 1), ("sent", 2)]);
    assert_eq!(
        far.pages(0),
        ["PPS-MPS", "> MCF", "PPS-EOM", "> MCF", "DCN"]
    );
    let ended_for = "SELECT COUNT(*) FROM leg WHERE outcome = 'call-ended-for-another'";
    assert_eq!(rig.count(ended_for).await, 1);
    let holds: Vec<_> = rig.holds().await.into_iter().map(|hold| hold.2).collect();
    assert_eq!(holds, [Some(2000), Some(0), Some(2000)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_crash_within_a_shared_call_leaves_each_faxs_pages_as_they_were_known() {
    let mut rig = line().speed(2).without_far_end().start().await;
    rig.admin("set profile Basic batch 5");
    let far = ScriptedFax::start(rig.far_address(), 2, &[Script::ecm(&[])]).await;
    let to = FAR_NUMBER;
    let_go(&rig, &[("Alpha", to), ("Beta", to), ("Gamma", to)]).await;
    rig.until("the second fax is on the line", async || {
        (rig.jobs().await[1].state == "sending").then_some(())
    })
    .await;
    rig.kill9().await;
    far.stop().await;
    let _far = ScriptedFax::start(rig.far_address(), 2, &[Script::ecm(&[])]).await;
    rig.restart().await;
    let reports = reports(&rig, &["Alpha", "Beta", "Gamma"]).await;
    reports[0].assert_says(&format!("{FAR_NUMBER}: sent"));
    reports[1].assert_says("unknown (sent, but not answered: may have arrived)");
    reports[2].assert_says(&format!("{FAR_NUMBER}: sent"));
    let jobs = rig.jobs().await;
    assert_eq!(ended(&jobs), [("sent", 1), ("unknown", 1), ("sent", 2)]);
    assert_eq!(jobs[1].outcome.as_deref(), Some("gateway-restarted"));
    let reports = rig.page_reports(&jobs[1].job_id).await;
    let unknown = reports.iter().filter(|page| page.2 == "unknown").count();
    assert_eq!(unknown, 1, "{reports:?}");
    let open = "SELECT COUNT(*) FROM leg WHERE outcome IS NULL";
    assert_eq!(rig.count(open).await, 0);
}
