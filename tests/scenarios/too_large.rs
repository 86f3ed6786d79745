//! Received faxes that are too large for the relay: in several mails, or announced.

use std::collections::HashSet;

use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution};

use crate::support::{ALICE, OUR_NUMBER, Rig, RigBuilder, fax, letters::Letter};

/// Octets of a letter without its pages, about.
const LETTER: usize = 12_000;

/// Pages that are hard to code, each with a pattern of its own.
fn pages(count: usize) -> Vec<FaxPage> {
    (0..count)
        .map(|number| {
            let mut bitmap = Bitmap::new(1728, 600);
            let mut noise = number as u32 + 1;
            for y in 0..600 {
                for x in 0..1728 {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if noise >> 28 == 0 {
                        bitmap.set_black(x, y);
                    }
                }
            }
            FaxPage::encode(&bitmap, Resolution::Fine, Coding::Mmr)
        })
        .collect()
}

/// A mail's octets with so many of the pages.
fn room_for(pages: &[FaxPage], count: f64) -> usize {
    let largest = pages.iter().map(|page| page.data.len()).max().unwrap();
    // Base64 in lines of 76 (RFC 2045 §6.8).
    LETTER + (largest as f64 * count * 4.0 / 3.0 * 78.0 / 76.0) as usize
}

async fn receive(rig: &mut Rig, pages: &[FaxPage]) {
    let mut sender = rig.call_in(pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
}

async fn rig(change: impl FnOnce(RigBuilder) -> RigBuilder) -> Rig {
    change(Rig::builder()).without_far_end().start().await
}

/// Waits until the fax is in this state, and gives its letters.
async fn settled(rig: &Rig, state: &str) -> Vec<Letter> {
    rig.until(&format!("a fax that is {state}"), async || {
        let is: String = sqlx::query_scalar("SELECT state FROM received_fax")
            .fetch_optional(rig.store.reader())
            .await
            .unwrap()?;
        (is == state).then_some(())
    })
    .await;
    rig.faxes()
}

async fn open_pages(rig: &Rig) -> i64 {
    rig.count("SELECT COUNT(*) FROM custody WHERE what = 'page' AND done_at IS NULL")
        .await
}

/// Panics unless the letters are the parts of the fax, each within the size, each page once, in order.
fn assert_parts(letters: &[Letter], pages: &[FaxPage], size: usize) {
    assert!(letters.len() > 1, "it was not parted");
    let ids: HashSet<_> = letters.iter().map(|letter| &letter.message_id).collect();
    assert_eq!(ids.len(), letters.len(), "each has a Message-ID of its own");
    let mut parts = Vec::new();
    for letter in letters {
        assert!(letter.raw.len() <= size, "{} octets", letter.raw.len());
        assert_eq!(letter.recipients, [ALICE]);
        let (_, part) = letter.subject.split_once(", part ").expect(&letter.subject);
        let (label, of) = part.split_once(" of ").unwrap();
        let place: Vec<u32> = label
            .split('.')
            .map(|number| number.parse().unwrap())
            .collect();
        letter.assert_says(&format!("This is part {label} of {of}, with page"));
        parts.push((place, letter));
    }
    parts.sort_by(|one, other| one.0.cmp(&other.0));
    let pictures: Vec<FaxPage> = parts
        .iter()
        .flat_map(|(_, letter)| fax::pdf_pages(&letter.pdf()))
        .map(|page| page.picture)
        .collect();
    fax::assert_same(pages, &pictures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_beyond_the_relays_size_goes_in_several_mails() {
    let mut rig = rig(|how| how).await;
    let pages = pages(5);
    let size = room_for(&pages, 2.5);
    rig.announce_size(size);
    receive(&mut rig, &pages).await;
    let letters = settled(&rig, "delivered").await;
    assert_parts(&letters, &pages, size);
    assert_eq!(letters.len(), 3, "two pages a mail");
    assert!(
        letters
            .iter()
            .all(|letter| !letter.subject.contains("part 2."))
    );
    assert_eq!(open_pages(&rig).await, 0, "their custody is over");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_refuses_with_552_after_the_data_gets_less() {
    let mut rig = rig(|how| how).await;
    let pages = pages(4);
    let size = room_for(&pages, 1.2);
    rig.refuse_beyond(size);
    receive(&mut rig, &pages).await;
    let letters = settled(&rig, "delivered").await;
    assert_parts(&letters, &pages, size);
    assert_eq!(open_pages(&rig).await, 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_page_beyond_the_relays_size_is_announced_and_kept() {
    let mut rig = rig(|how| how).await;
    let pages = pages(2);
    rig.announce_size(room_for(&pages, 0.7).max(20_000));
    receive(&mut rig, &pages).await;
    let letters = settled(&rig, "kept").await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].parts.is_empty(), "{:?}", letters[0].parts);
    letters[0].assert_says("too large for the mail server");
    letters[0].assert_says("They are kept until");
    assert_eq!(open_pages(&rig).await, 2);
    // The letter has the id by which the administrator sends it when the relay takes more.
    let id = letters[0]
        .text
        .split(&[' ', ':'])
        .find(|word| word.len() == 26)
        .expect("an id")
        .to_owned();
    rig.announce_size(0);
    rig.admin(&format!("deliver {id} to {ALICE} form tiff"));
    let letters = rig.wait_faxes(2).await;
    let (kind, _, file) = &letters[1].parts[0];
    assert_eq!(kind, "image/tiff");
    fax::assert_same(&pages, &faxpost_t4::tiff::read(file).unwrap());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_no_parts_gets_a_notice() {
    let pages = pages(3);
    let size = room_for(&pages, 1.5);
    let mut rig = rig(|how| how.setting("relay", &format!("max_size = {size}"))).await;
    rig.admin(&format!(
        "set recipient {ALICE} of {OUR_NUMBER} large notice"
    ));
    receive(&mut rig, &pages).await;
    let letters = settled(&rig, "kept").await;
    assert_eq!(letters.len(), 1);
    letters[0].assert_says("too large for the mail server");
    rig.admin(&format!(
        "set recipient {ALICE} of {OUR_NUMBER} large split"
    ));
    let id: String = sqlx::query_scalar("SELECT received_id FROM received_fax")
        .fetch_one(rig.store.reader())
        .await
        .unwrap();
    rig.admin(&format!("deliver {id} to {ALICE}"));
    let letters = rig.wait_faxes(4).await;
    assert_parts(&letters[1..], &pages, size);
    rig.stop().await;
}
