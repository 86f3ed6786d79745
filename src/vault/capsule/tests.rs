use proptest::prelude::*;

use super::*;

const ITEM: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const TENANT: &str = "01BX5ZZKBKACTAV9WEVGEMMVRZ";

fn vault() -> (tempfile::TempDir, Vault) {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::open(dir.path()).unwrap();
    (dir, vault)
}

fn opens(vault: &Vault, bytes: Vec<u8>) -> Result<Clear, VaultError> {
    vault.unseal(ITEM, TENANT, &Sealed::from_stored(bytes)?)
}

/// Clear octets with which every kind of last chunk occurs.
fn sizes() -> [usize; 7] {
    [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5]
}

#[test]
fn sealed_items_open_whatever_their_size() {
    let (_dir, vault) = vault();
    for size in sizes() {
        let clear: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let sealed = vault.seal(ITEM, TENANT, 20000, &clear).unwrap();
        let chunks = size.div_ceil(CHUNK).max(1);
        assert_eq!(sealed.size(), HEADER + WRAP + size + chunks * TAG);
        assert_eq!(
            *opens(&vault, sealed.into_bytes()).unwrap(),
            clear,
            "{size}"
        );
    }
}

#[test]
fn cut_off_and_lengthened_items_do_not_open() {
    let (_dir, vault) = vault();
    let sealed = vault
        .seal(ITEM, TENANT, 1, &vec![7; 2 * CHUNK + 9])
        .unwrap()
        .into_bytes();
    let start = HEADER + WRAP;
    let cuts = [
        0,
        10,
        HEADER,
        start - 1,
        start,
        start + TAG,
        start + CHUNK + TAG,
        sealed.len() - 9 - TAG,
        sealed.len() - 1,
    ];
    for cut in cuts {
        assert!(
            opens(&vault, sealed[..cut].to_vec()).is_err(),
            "cut at {cut}"
        );
    }
    let longer = [&sealed[..], &[0]].concat();
    assert!(opens(&vault, longer).is_err());
    let doubled = [&sealed[..], &sealed[sealed.len() - 9 - TAG..]].concat();
    assert!(opens(&vault, doubled).is_err());
}

#[test]
fn chunks_in_another_order_do_not_open() {
    let (_dir, vault) = vault();
    let sealed = vault
        .seal(ITEM, TENANT, 1, &vec![7; 3 * CHUNK])
        .unwrap()
        .into_bytes();
    let (start, chunk) = (HEADER + WRAP, CHUNK + TAG);
    let swapped = [
        &sealed[..start],
        &sealed[start + chunk..start + 2 * chunk],
        &sealed[start..start + chunk],
        &sealed[start + 2 * chunk..],
    ]
    .concat();
    assert_eq!(swapped.len(), sealed.len());
    assert!(opens(&vault, swapped).is_err());
    let dropped = [&sealed[..start], &sealed[start + chunk..]].concat();
    assert!(opens(&vault, dropped).is_err());
}

#[test]
fn parts_of_two_items_do_not_open_together() {
    let (_dir, vault) = vault();
    let one = vault.seal(ITEM, TENANT, 1, b"one").unwrap().into_bytes();
    let two = vault.seal(ITEM, TENANT, 1, b"two").unwrap().into_bytes();
    let wrap_end = HEADER + WRAP;
    for (header, wrap, chunks) in [
        (&two[..HEADER], &one[HEADER..wrap_end], &one[wrap_end..]),
        (&one[..HEADER], &two[HEADER..wrap_end], &one[wrap_end..]),
        (&one[..HEADER], &one[HEADER..wrap_end], &two[wrap_end..]),
        (&one[..HEADER], &two[HEADER..wrap_end], &two[wrap_end..]),
    ] {
        assert!(opens(&vault, [header, wrap, chunks].concat()).is_err());
    }
}

#[test]
fn an_item_opens_as_itself_alone() {
    let (_dir, vault) = vault();
    let sealed = vault.seal(ITEM, TENANT, 1, b"x").unwrap();
    assert!(matches!(
        vault.unseal(TENANT, TENANT, &sealed),
        Err(VaultError::Damaged)
    ));
    assert!(matches!(
        vault.unseal(ITEM, ITEM, &sealed),
        Err(VaultError::Damaged)
    ));
    let (_dir, other) = self::vault();
    assert!(matches!(
        other.unseal(ITEM, TENANT, &sealed),
        Err(VaultError::NoKey(1))
    ));
    other.seal(ITEM, TENANT, 1, b"y").unwrap();
    assert!(matches!(
        other.unseal(ITEM, TENANT, &sealed),
        Err(VaultError::Damaged)
    ));
}

#[test]
fn a_destroyed_day_stays_sealed() {
    let (dir, vault) = vault();
    let sealed = vault.seal(ITEM, TENANT, 5, b"x").unwrap();
    assert!(vault.destroy(5).unwrap());
    assert!(matches!(
        vault.unseal(ITEM, TENANT, &sealed),
        Err(VaultError::NoKey(5))
    ));
    // A new key of the same day is another key.
    let again = Vault::open(dir.path()).unwrap();
    again.seal(ITEM, TENANT, 5, b"y").unwrap();
    assert!(matches!(
        again.unseal(ITEM, TENANT, &sealed),
        Err(VaultError::Damaged)
    ));
}

#[test]
fn clear_bytes_are_not_taken_for_sealed_ones() {
    let (_dir, vault) = vault();
    let error = Sealed::from_stored(vec![b'x'; 500]).unwrap_err();
    assert!(matches!(error, VaultError::Format(_)));
    let sealed = vault.seal(ITEM, TENANT, 1, b"the secret").unwrap();
    assert!(
        !sealed
            .clone()
            .into_bytes()
            .windows(6)
            .any(|w| w == b"secret")
    );
    assert!(!format!("{sealed:?}").contains("secret"));
    assert!(matches!(
        vault.seal("no id", TENANT, 1, b""),
        Err(VaultError::BadId(_))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_octet_goes_unseen(size in 0usize..200, at: prop::sample::Index, bit in 0u8..8) {
        let (_dir, vault) = vault();
        let mut sealed = vault.seal(ITEM, TENANT, 9, &vec![3; size]).unwrap().into_bytes();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(opens(&vault, sealed).is_err());
    }

    #[test]
    fn no_octets_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), whole: bool) {
        let (_dir, vault) = vault();
        vault.seal(ITEM, TENANT, 0, b"").unwrap();
        let mut bytes = bytes;
        if whole && bytes.len() >= HEADER {
            bytes[..7].copy_from_slice(b"FXP1\x01\x01\x01");
        }
        prop_assert!(opens(&vault, bytes).is_err());
    }
}

/// The vector of `docs/capsule.md`: it must stay true for as long as version 1 is read.
#[test]
fn the_vector_of_the_page_holds() {
    let page = include_str!("../../../docs/capsule.md");
    let field = |name: &str| {
        let line = page
            .lines()
            .find_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix("= "));
        unhex(line.unwrap_or_else(|| panic!("{name} is on the page")))
    };
    let lot = Lot {
        data_key: Zeroizing::new(field("data-key").try_into().unwrap()),
        prefix: field("prefix").try_into().unwrap(),
        wrap_nonce: field("wrap-nonce").try_into().unwrap(),
    };
    let transit = Aes256Gcm::new_from_slice(&field("transit-key")).unwrap();
    let day = u32::from_be_bytes(field("day").try_into().unwrap());
    let sealed = seal_with(
        &transit,
        field("item").try_into().unwrap(),
        field("tenant").try_into().unwrap(),
        day,
        &lot,
        &field("clear"),
    )
    .unwrap();
    assert_eq!(hex(&sealed.0), hex(&field("sealed")));
    let header = Header::read(&sealed.0).unwrap();
    assert_eq!(
        *unseal_with(&transit, &header, &sealed.0).unwrap(),
        field("clear")
    );
    assert_eq!(id(ITEM).unwrap().to_vec(), field("item"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
