-- The tables of every room. Times are Unix milliseconds, truth is 0 or 1, ids are ULIDs.

-- people ---------------------------------------------------------------
CREATE TABLE tenant (
    tenant_id   TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    language    TEXT NOT NULL,            -- 'en' or 'fr'
    time_zone   TEXT NOT NULL,            -- IANA name, for the header line and mails
    company     TEXT,                     -- on covers; NULL: the tenant's name
    footer      TEXT,                     -- small print on covers; NULL: none
    logo        BYTEA,                    -- on covers: a PNG in grey, made by a paper worker, 512 KB at most
    created_at  BIGINT NOT NULL
);
CREATE TABLE tenant_domain (
    domain      TEXT PRIMARY KEY,         -- lower case; mail to number@domain is for this tenant
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id)
);
CREATE TABLE tenant_cover (
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    name        TEXT NOT NULL,
    source      TEXT NOT NULL,            -- typst; it was drawn in a paper worker before it was stored
    stored_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CREATE TABLE profile (
    profile_id  TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    name        TEXT NOT NULL,            -- a group uses the profile of its own name, else 'Basic'
    resolution  TEXT,                     -- 'standard', 'fine', 'superfine'; NULL inherits
    paper       TEXT,                     -- 'a4', 'letter', 'legal'; NULL inherits
    landscape   TEXT,                     -- 'turn', 'shrink'; NULL inherits
    long_pages  TEXT,                     -- 'split', 'shrink'; NULL inherits
    blank_pages TEXT,                     -- 'keep', 'drop'; NULL inherits
    tone        TEXT,                     -- 'auto', 'text', 'photo'; NULL inherits
    dots        TEXT,                     -- 'diffused', 'clustered'; NULL inherits
    cover       TEXT,                     -- the name of its template, or 'none'; NULL inherits
    body        TEXT,                     -- the mail's text: 'cover', 'page', 'ignore'; NULL inherits
    priority    BIGINT,                   -- 0 first, 9 last; NULL inherits, as all below
    unreadable  TEXT,                     -- 'stop', 'leave-out': an attachment that can't be drawn
    codes       TEXT,                     -- billing codes: 'any', 'needed', or those that there are with spaces between
    ocr         TEXT,                     -- 'off', or languages as 'eng+fra' in which received pages are read
    max_calls   BIGINT,                   -- calls that one fax may cost
    max_tries   BIGINT,                   -- of these, with page data
    batch       BIGINT,                   -- faxes of one user to one number that a call carries
    wait_busy   TEXT,                     -- seconds before the next call, with spaces between, as the others
    wait_no_answer TEXT,
    wait_protocol TEXT,
    wait_trunk  TEXT,
    wait_no_fax TEXT,
    wait_interrupted TEXT,
    hours       TEXT,                     -- when faxes may be called: 'mon-fri 08:00-18:00; sat 09:00-12:00'; '' always
    quiet       TEXT,                     -- when they may not, whatever the hours: '22:00-06:00'; '' never
    allow       TEXT,                     -- beginnings of numbers with spaces between; '' every number
    deny        TEXT,                     -- beginnings of numbers that are refused; the longest of both decides
    guard       TEXT,                     -- what is asked about before it is sent: 'first near pages', or some; '' nothing
    approver    TEXT,                     -- the address of who has to approve every fax; '' nobody
    accepted    TEXT,                     -- 'slow', 'always', 'never': a mail that a fax is accepted
    discreet    TEXT,                     -- 'yes', 'no': mails say nothing of the content
    receipt     TEXT,                     -- 'yes', 'no': a receipt, a PDF, goes with the report
    json        TEXT,                     -- 'yes', 'no': the report for programs goes with it
    UNIQUE (tenant_id, name)
);
CREATE TABLE user_group (
    group_id    TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    name        TEXT NOT NULL,
    is_default  BIGINT NOT NULL,          -- one default group a tenant, held by the index below
    owner_id    TEXT,                     -- a user; need not be a member
    UNIQUE (tenant_id, name)
);
CREATE UNIQUE INDEX user_group_default ON user_group (tenant_id) WHERE is_default = 1;
CREATE TABLE fax_user (
    user_id     TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    group_id    TEXT NOT NULL REFERENCES user_group (group_id),
    name        TEXT NOT NULL,
    role        TEXT NOT NULL,            -- 'operator', 'tenant', 'user', 'guest' (proven by a rule, mail by mail)
    plan        TEXT NOT NULL,            -- 'send-receive', 'send-only'
    language    TEXT,                     -- NULL inherits the tenant's
    caller_number TEXT,                   -- E.164: TSI and caller identity; NULL: the group's first number
    mail_password TEXT,                   -- Argon2id PHC string for SMTP AUTH; never the archive passphrase
    mail_scram  TEXT,                     -- the same password's verifier for SCRAM-SHA-256 (RFC 5803)
    created_at  BIGINT NOT NULL
);
CREATE TABLE user_address (
    address     TEXT PRIMARY KEY,         -- lower case; a mail address that sends and receives for the user
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    user_id     TEXT NOT NULL REFERENCES fax_user (user_id),
    is_primary  BIGINT NOT NULL
);
CREATE INDEX user_address_user ON user_address (tenant_id, user_id);
CREATE TABLE sender_secret (
    secret_id   TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    user_id     TEXT NOT NULL REFERENCES fax_user (user_id),
    hash        BYTEA NOT NULL UNIQUE,    -- SHA-256 of a secret of 130 random bits: nobody has the secret itself
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,          -- then it proves nothing
    replaced_at BIGINT,                   -- when a newer one was made
    warned_at   BIGINT                    -- when its user was told that it ends soon
);
CREATE INDEX sender_secret_user ON sender_secret (tenant_id, user_id);
CREATE INDEX sender_secret_expires ON sender_secret (expires_at);

-- numbers --------------------------------------------------------------
CREATE TABLE number (
    number_id   TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    group_id    TEXT NOT NULL REFERENCES user_group (group_id),
    e164        TEXT NOT NULL UNIQUE,     -- with the plus sign
    title       TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE TABLE number_recipient (
    number_id   TEXT NOT NULL REFERENCES number (number_id),
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    address     TEXT NOT NULL,            -- where faxes for the number are mailed
    form        TEXT NOT NULL DEFAULT 'pdf', -- 'pdf', 'pdfa', 'tiff', 't37', 'png', 'jpeg'; 'notice': without its pages
    large       TEXT NOT NULL DEFAULT 'split', -- what the relay takes not in one mail: 'split' into several, 'notice'
    password_sealed BYTEA,                 -- what its PDFs open with, sealed with the standing key; NULL: nothing
    PRIMARY KEY (number_id, address)
);
CREATE TABLE trunk (
    trunk_id    TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,            -- the operator's tenant: trunks serve all
    name        TEXT NOT NULL UNIQUE,
    active      BIGINT NOT NULL,
    host        TEXT NOT NULL,
    port        BIGINT NOT NULL,          -- 0: as SRV says, else the transport's own
    transport   TEXT NOT NULL,            -- 'udp', 'tcp', 'tls'; 'hylafax': no SIP, a HylaFAX server
    sip_user    TEXT,                     -- NULL: known by its address alone
    password_sealed BYTEA,                 -- with the standing key; NULL without a user
    modem       TEXT,                     -- of a HylaFAX server: the one to send with; NULL: any
    register_s  BIGINT,                   -- the lifetime to ask the registrar for; NULL: no registration
    sources     TEXT NOT NULL,            -- networks its calls come from beside its host, with spaces between
    channels    BIGINT NOT NULL,          -- calls at a time
    calls_per_minute BIGINT,              -- NULL: as many as there are
    caller_number TEXT,                   -- who calls, whoever sends; NULL: the sender's own number
    number_format TEXT NOT NULL,          -- 'e164' (+33…), 'plain' (33…)
    dial_prefix TEXT NOT NULL,            -- written before every called number
    t38         TEXT NOT NULL,            -- 'offer' at once, 'wait' until the call stands, 'never'
    media       TEXT NOT NULL,            -- taken from: 'signalled' the address and port that SDP names, 'machine' that address, 'nat' whoever sends first
    priority    BIGINT NOT NULL,          -- lower is tried first
    created_at  BIGINT NOT NULL
);
CREATE TABLE trunk_route (
    trunk_id    TEXT NOT NULL REFERENCES trunk (trunk_id),
    tenant_id   TEXT NOT NULL,
    prefix      TEXT NOT NULL,            -- '+33'; '+' is every number. A trunk without routes takes every number
    cost        BIGINT NOT NULL,          -- of two equal prefixes the cheaper is tried first
    PRIMARY KEY (trunk_id, prefix)
);
CREATE TABLE trunk_state (
    trunk_id    TEXT NOT NULL,
    tenant_id   TEXT NOT NULL,
    node        TEXT NOT NULL,            -- the gateway that says so
    state       TEXT NOT NULL,            -- 'up', 'down', 'unknown'
    since       BIGINT NOT NULL,          -- when that began
    registered_since BIGINT,              -- NULL: it is not registered
    registered_until BIGINT,
    answered_at BIGINT,                   -- when OPTIONS was answered last
    failure     TEXT,                     -- the last one, a sentence; stays when it is over
    failed_at   BIGINT,
    rests_until BIGINT,                   -- it asked to be left alone until then (Retry-After)
    told_at     BIGINT NOT NULL,
    PRIMARY KEY (trunk_id, node)
);

CREATE TABLE mailbox (
    mailbox_id  TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id), -- whose fax domains its mails may name
    name        TEXT NOT NULL UNIQUE,
    active      BIGINT NOT NULL,
    host        TEXT NOT NULL,
    port        BIGINT NOT NULL,          -- 0: 993 under TLS, else 143
    security    TEXT NOT NULL,            -- 'tls' from the first octet, 'starttls', 'none' (on this machine alone)
    ca          TEXT,                     -- a PEM file of CAs beside the system's; NULL: none
    login       TEXT NOT NULL,
    address     TEXT NOT NULL,            -- its own mail address, lower case
    credentials_sealed BYTEA,             -- password, client secret, refresh token, with the standing key
    token_endpoint TEXT,                  -- XOAUTH2: where access tokens come from; NULL: a password
    client_id   TEXT,
    scope       TEXT,
    folder      TEXT NOT NULL,            -- whose mails are faxed
    faxed       TEXT NOT NULL,            -- where they go then
    refused     TEXT NOT NULL,            -- where the others go
    numbers     TEXT NOT NULL,            -- where a number may stand: 'address', 'subject' or 'body' besides
    authserv_id TEXT,                     -- whose Authentication-Results are believed; NULL: nobody's
    owner       TEXT,                     -- who is told of what was refused; NULL: the operator
    every_s     BIGINT,                   -- between two looks; NULL: as the configuration has it
    idle        BIGINT NOT NULL,          -- IDLE where the server has it
    created_at  BIGINT NOT NULL
);
CREATE TABLE mailbox_state (
    mailbox_id  TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    lease_owner TEXT,                     -- the node that polls it
    lease_until BIGINT,
    polled_at   BIGINT,                   -- the last look that went well
    failing_since BIGINT,                 -- NULL: the last one went well
    failure     TEXT,                     -- the last one, a sentence; stays when it is over
    failed_at   BIGINT,
    login_refused BIGINT NOT NULL,        -- 1: the last failure is that the server refused our login
    alerted_at  BIGINT,                   -- when the operator was told of this spell of failures
    digested_at BIGINT                    -- when its owner was told last what was refused
);

-- books ----------------------------------------------------------------
CREATE TABLE contact (
    contact_id  TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    owner_id    TEXT NOT NULL,            -- the user whose own it is; '': it is the tenant's
    name        TEXT NOT NULL,            -- small letters; it stands before the @
    title       TEXT NOT NULL,            -- who it is, for covers; '': nobody said
    e164        TEXT NOT NULL,            -- with the plus sign
    sub_address TEXT,                     -- behind it (T.33)
    created_at  BIGINT NOT NULL,
    UNIQUE (tenant_id, owner_id, name)
);
CREATE TABLE contact_group (
    group_id    TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenant (tenant_id),
    owner_id    TEXT NOT NULL,            -- as of contacts
    name        TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (tenant_id, owner_id, name)
);
CREATE TABLE contact_group_member (
    group_id    TEXT NOT NULL REFERENCES contact_group (group_id),
    tenant_id   TEXT NOT NULL,
    contact_id  TEXT NOT NULL REFERENCES contact (contact_id),
    PRIMARY KEY (group_id, contact_id)
);

-- vault ----------------------------------------------------------------
CREATE TABLE custody (
    custody_id  TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    what        TEXT NOT NULL,            -- 'message', 'rendition', 'cover', 'page', 'mail', 'secret'
    day         BIGINT NOT NULL,          -- days since 1970-01-01: whose transit key seals it
    place       TEXT NOT NULL,            -- where the sealed bytes lie: segment:offset:length
    size        BIGINT NOT NULL,          -- bytes sealed
    created_at  BIGINT NOT NULL,
    done_at     BIGINT                    -- delivered: the day's key waits only for those that are not
);
CREATE INDEX custody_open ON custody (day) WHERE done_at IS NULL;

-- tokens ---------------------------------------------------------------
CREATE TABLE token (
    nonce       TEXT PRIMARY KEY,         -- 80 random bits; the token is this and an HMAC of the row, whose key is elsewhere
    tenant_id   TEXT NOT NULL,
    action      TEXT NOT NULL,            -- what it lets be done: 'accepted', 'parked', 'approve', 'sender', ...
    subject     TEXT NOT NULL,            -- to what: a submission, a job, ...
    address     TEXT NOT NULL,            -- lower case: who alone may use it
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT                    -- NULL: not yet; written in the transaction that does it
);
CREATE INDEX token_subject ON token (tenant_id, subject);
CREATE INDEX token_expires ON token (expires_at);

-- submission -----------------------------------------------------------
CREATE TABLE submission (
    submission_id TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    door        TEXT NOT NULL,            -- 'smtp', 'lmtp', 'imap', 'http', 'shell'
    proof       TEXT NOT NULL,            -- how the sender was proven, in words for the record
    reverse_path TEXT NOT NULL,           -- MAIL FROM; '' for <>
    message_id  TEXT,                     -- the mail's own
    subject     TEXT NOT NULL,
    digest      BYTEA NOT NULL,           -- SHA-256 of the message below its trace lines
    custody_id  TEXT NOT NULL,            -- the message as it came
    report_to   TEXT NOT NULL,            -- the mapped user's address
    envid       TEXT,                     -- DSN ENVID (RFC 3461 §4.4)
    ret         TEXT,                     -- DSN RET
    options     TEXT,                     -- JSON, what it asks of its faxes as a whole; NULL: nothing
    accepted_at BIGINT NOT NULL,
    told_at     BIGINT,                   -- its sender has heard that it is under way, or is not to
    closed_at   BIGINT                    -- all jobs final: its report is in the outbox
);
CREATE TABLE accepted_mail (
    mail_key    BYTEA PRIMARY KEY,        -- SHA-256 of tenant, user, the message's digest or its copies' mark, and the number
    tenant_id   TEXT NOT NULL,
    submission_id TEXT NOT NULL,          -- the one that faxes it
    strict      BIGINT NOT NULL,          -- 0: the same only as one whose copies prove as much; 1: as whatever comes
    accepted_at BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL           -- the same mail after this is a new one
);
CREATE INDEX submission_untold ON submission (submission_id) WHERE closed_at IS NULL AND told_at IS NULL;
CREATE INDEX accepted_mail_expires ON accepted_mail (expires_at);

-- queue ----------------------------------------------------------------
CREATE TABLE job (
    job_id      TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    submission_id TEXT NOT NULL REFERENCES submission (submission_id),
    user_id     TEXT NOT NULL,
    group_id    TEXT NOT NULL,
    destination TEXT NOT NULL,            -- E.164 with the plus sign
    sub_address TEXT,                     -- behind it (T.33)
    password    BIGINT NOT NULL,          -- 1: its mail gives one for the far machine, and has it alone
    recipient   TEXT NOT NULL,            -- the envelope recipient as it was given
    to_name     TEXT,                     -- who it is, as a contact or a list has it; NULL: as the To line has it
    notify      TEXT,                     -- DSN NOTIFY
    orcpt       TEXT,                     -- DSN ORCPT
    options     TEXT,                     -- JSON, what is asked of it, wherever it was written; NULL: nothing
    send_at     BIGINT,                   -- of these: not called before
    not_after   BIGINT,                   -- not called after
    code        TEXT,                     -- whom it is billed to
    caller      TEXT,                     -- the number that calls, E.164; NULL: the sender's own
    state       TEXT NOT NULL,            -- see queue/state.rs: the one table of states
    state_since BIGINT NOT NULL,
    deadline    BIGINT NOT NULL,          -- when the watchdog acts on this state
    expires_at  BIGINT NOT NULL,          -- the latest time: no wait lasts longer, whatever its state
    run_at      BIGINT NOT NULL,          -- not claimed before
    opens_at    BIGINT NOT NULL,          -- not called before: the hours of its profile; 0: not asked yet
    accepted_at BIGINT NOT NULL,
    priority    BIGINT NOT NULL,          -- 0 first, 9 last; its profile's
    lane        TEXT NOT NULL,            -- tenant/user: lanes take turns, and one fax after the other goes in each
    place       BIGINT NOT NULL,          -- in its lane: when it was accepted, later for each step of priority
    cancelled_at BIGINT,                  -- called off while it was on the line: no page after this one
    parked_why  TEXT,                     -- JSON, why it is or was kept back; NULL: it was not
    approver    TEXT,                     -- whose word it needs, lower case; NULL: its sender's
    delay_told  BIGINT NOT NULL DEFAULT 0, -- 1: its sender has heard that its next call is far off
    carried_by  TEXT,                     -- the job whose call carries this one too; NULL: none does, or its own
    lease_owner TEXT,                     -- the node and worker at work on it
    lease_until BIGINT,
    tries       BIGINT NOT NULL,          -- calls placed
    rendition_id TEXT,
    cover_custody_id TEXT,                -- the cover's pages, made for this destination
    cover_notes TEXT,                     -- JSON, what its sender should know of the cover; NULL: nothing
    pages_total BIGINT,                   -- cover and rendition; NULL until rendered
    pages_confirmed BIGINT NOT NULL,
    outcome     TEXT,                     -- the key into outcome.rs of the last ending
    outcome_note TEXT,                    -- JSON, what the user reads besides: attachment named, reason
    finished_at BIGINT
);
CREATE INDEX job_claim ON job (state, run_at);
CREATE INDEX job_to_render ON job (lane, place, job_id, run_at) WHERE state = 'queued';
CREATE INDEX job_to_dial ON job (lane, place, job_id, run_at, opens_at, destination)
    WHERE state IN ('ready', 'waiting');
-- One call at a time to one destination, whichever node places it.
CREATE UNIQUE INDEX job_on_line ON job (destination)
    WHERE state IN ('dialling', 'sending') AND carried_by IS NULL;
CREATE INDEX job_cancelled ON job (job_id) WHERE cancelled_at IS NOT NULL AND finished_at IS NULL;
-- The latest faxes of a user, of which pages arrived.
CREATE INDEX job_arrived ON job (tenant_id, user_id, accepted_at) WHERE pages_confirmed > 0;
CREATE INDEX job_submission ON job (tenant_id, submission_id);
CREATE INDEX job_notify ON job (accepted_at) WHERE notify IS NOT NULL AND finished_at IS NULL;
CREATE TABLE rendition (
    rendition_id TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    submission_id TEXT NOT NULL REFERENCES submission (submission_id),
    page_setup  TEXT NOT NULL,            -- JSON: width, paper, resolution, fit
    body        TEXT NOT NULL,            -- where the mail's text went: 'cover' (it is not in here), 'page', 'ignore'
    pages       BIGINT,                   -- NULL until made
    custody_id  TEXT,                     -- the pages, TIFF-F in MMR
    notes       TEXT NOT NULL,            -- JSON: fonts substituted, attachments left out
    created_at  BIGINT NOT NULL,
    UNIQUE (submission_id, page_setup, body)
);
CREATE TABLE call (
    call_id     TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    trunk_id    TEXT,
    direction   TEXT NOT NULL,            -- 'out', 'in'
    local_number TEXT NOT NULL,
    remote_number TEXT NOT NULL,
    placed_at   BIGINT NOT NULL,
    answered_at BIGINT,
    ended_at    BIGINT,
    sip_status  BIGINT,                   -- final response to INVITE
    q850        BIGINT,
    media       TEXT                      -- 't38', 'g711'
);
CREATE TABLE leg (
    leg_id      TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    call_id     TEXT NOT NULL REFERENCES call (call_id),
    job_id      TEXT,                     -- outgoing
    received_id TEXT,                     -- incoming
    place       BIGINT NOT NULL DEFAULT 0, -- in the call: legs go out one behind the other, 0 first
    first_page  BIGINT NOT NULL,          -- 0-based page of the job that this leg starts at
    data_page   BIGINT,                   -- page whose data may be on the line, its answer not yet recorded:
                                          -- what a crash leaves unknown
    offered_t38 BIGINT,                   -- what we offered of T.38, V.17 and error correction; outgoing
    offered_v17 BIGINT,
    offered_ecm BIGINT,
    t30_code    BIGINT,                   -- spandsp's T.30 completion code
    remote_ident TEXT,                    -- CSI or TSI
    rate        BIGINT,                   -- bit/s
    ecm         BIGINT,
    resolution  TEXT,
    duration_ms BIGINT,
    outcome     TEXT
);
CREATE INDEX leg_call ON leg (tenant_id, call_id);
CREATE INDEX leg_job ON leg (tenant_id, job_id);
CREATE TABLE page_report (
    leg_id      TEXT NOT NULL REFERENCES leg (leg_id),
    tenant_id   TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    page        BIGINT NOT NULL,          -- 0-based page of the job, cover first
    verdict     TEXT NOT NULL,            -- 'confirmed', 'refused', 'unknown', 'unsent'
    evidence    TEXT NOT NULL,            -- the frames that say so: 'MCF to EOP'
    reported_at BIGINT NOT NULL,
    PRIMARY KEY (leg_id, page)
);
CREATE INDEX page_report_job ON page_report (tenant_id, job_id);
CREATE TABLE reached_number (
    tenant_id   TEXT NOT NULL,
    destination TEXT NOT NULL,            -- E.164 with the plus sign: a page of the tenant's was confirmed there
    reached_at  BIGINT NOT NULL,          -- when last
    PRIMARY KEY (tenant_id, destination)
);
CREATE TABLE destination_memory (
    tenant_id   TEXT NOT NULL,
    destination TEXT NOT NULL,            -- E.164 with the plus sign
    t38         BIGINT NOT NULL,          -- what was offered when pages were confirmed, less than everything:
    v17         BIGINT NOT NULL,          -- later faxes to this number begin with it
    ecm         BIGINT NOT NULL,
    learned_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,          -- then everything is offered again; policies/sending.toml
    PRIMARY KEY (tenant_id, destination)
);
CREATE INDEX destination_memory_expires ON destination_memory (expires_at);

-- inbox ----------------------------------------------------------------
CREATE TABLE received_fax (
    received_id TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    number_id   TEXT NOT NULL REFERENCES number (number_id),
    call_id     TEXT NOT NULL,
    state       TEXT NOT NULL,            -- 'receiving', 'received' (its mails are under way), 'delivered', 'kept' (a mail went out
                                          -- without its pages), 'failed', 'unreadable' (a letter said that its pages could not be
                                          -- written; they are kept), 'dropped' (one of these three, and its pages are gone)
    remote_number TEXT NOT NULL,          -- the caller's, as the trunk gave it
    tsi         TEXT,
    sub_address TEXT,                     -- whom the sender asks for behind the number (T.33)
    pages       BIGINT NOT NULL,          -- committed
    incomplete  BIGINT NOT NULL,          -- the call broke off
    announced   BIGINT NOT NULL DEFAULT 0, -- 1: a notice without its pages was written, so they are kept for a while
    outcome     TEXT,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    deadline    BIGINT NOT NULL
);
CREATE INDEX received_fax_state ON received_fax (state, deadline);
CREATE TABLE received_page (
    received_id TEXT NOT NULL REFERENCES received_fax (received_id),
    tenant_id   TEXT NOT NULL,
    page        BIGINT NOT NULL,          -- 0-based
    custody_id  TEXT NOT NULL,            -- a TIFF-F of one page
    digest      BYTEA NOT NULL,      -- SHA-256 of the coded page
    bad_rows    BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    PRIMARY KEY (received_id, page)
);

-- ledger ---------------------------------------------------------------
CREATE TABLE hold (
    hold_id     TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    group_id    TEXT NOT NULL,            -- who pays
    user_id     TEXT NOT NULL,
    job_id      TEXT NOT NULL UNIQUE,     -- one hold a job
    tariff      TEXT NOT NULL,            -- the tariff's name when the job was accepted
    page_price  BIGINT NOT NULL,          -- thousandths of a unit a confirmed page, as agreed then
    units       BIGINT NOT NULL,          -- thousandths of a unit held
    settled     BIGINT,                   -- thousandths of a unit taken; NULL: still held
    pages       BIGINT,                   -- confirmed pages that settled it
    held_at     BIGINT NOT NULL,
    settled_at  BIGINT
);
CREATE INDEX hold_open ON hold (tenant_id) WHERE settled IS NULL;
CREATE INDEX hold_settled ON hold (tenant_id, settled_at, user_id) WHERE settled_at IS NOT NULL;
CREATE TABLE day_count (
    tenant_id   TEXT NOT NULL,
    subject     TEXT NOT NULL,            -- 'user ID', 'tenant', 'number +…'
    day         BIGINT NOT NULL,          -- days since 1970 in the tenant's time zone
    faxes       BIGINT NOT NULL,          -- accepted that day
    PRIMARY KEY (tenant_id, subject, day)
);
CREATE INDEX day_count_day ON day_count (day);

-- front ----------------------------------------------------------------
CREATE TABLE alert (
    about       TEXT PRIMARY KEY,         -- 'trunk:<trunk>', 'relay', 'disk:<host>', 'certificate:<host>:<file>'
    tenant_id   TEXT NOT NULL,            -- the operator's
    node        TEXT NOT NULL,            -- the only gateway that can see it; '': all can
    since       BIGINT NOT NULL,          -- bad since
    words_en    TEXT NOT NULL,            -- as it was said last
    words_fr    TEXT NOT NULL,
    told_at     BIGINT                    -- when the operator was told last; NULL: not yet
);

-- relay ----------------------------------------------------------------
CREATE TABLE outbox (
    mail_id     TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    purpose     TEXT NOT NULL UNIQUE,     -- 'report:<submission>', 'fax:<received>:<address>': one mail for each
    about       TEXT NOT NULL,            -- the submission or the received fax that it tells of; '' for what is handed on
    message_id  TEXT NOT NULL,            -- fixed before the first try: a repeat is recognisable
    return_path TEXT NOT NULL,            -- '' for <>; 'bounce': one of its own
    recipient   TEXT NOT NULL,
    state       TEXT NOT NULL,            -- 'compose', 'ready', 'sending', 'sent', 'failed', 'dropped' (failed, and its content is gone), 'replaced' (failed, and sent anew)
    custody_id  TEXT,                     -- the composed mail; NULL while it is to be composed
    tries       BIGINT NOT NULL,
    run_at      BIGINT NOT NULL,
    deadline    BIGINT NOT NULL,
    lease_owner TEXT,                     -- the node that is sending it
    lease_until BIGINT,
    last_answer TEXT,                     -- what the relay said last
    created_at  BIGINT NOT NULL,
    sent_at     BIGINT,
    bounced_at  BIGINT,                   -- it came back after the relay had taken it
    size_limit  BIGINT                    -- octets that the relay takes of it; 0: not known; NULL: it can't be made smaller
);
CREATE INDEX outbox_due ON outbox (state, run_at);
CREATE INDEX outbox_about ON outbox (tenant_id, about);
CREATE INDEX outbox_bounced ON outbox (bounced_at) WHERE bounced_at IS NOT NULL;

-- front ----------------------------------------------------------------
CREATE TABLE refused_mail (
    refused_id  TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    mailbox_id  TEXT NOT NULL,
    place       TEXT NOT NULL,            -- which mail: a hash of server, login, folder, UIDVALIDITY and UID
    sender      TEXT NOT NULL,            -- who it says to be from: nobody has proven it
    subject     TEXT NOT NULL,
    reason      TEXT NOT NULL,            -- a sentence
    refused_at  BIGINT NOT NULL,
    told_at     BIGINT,                   -- when the mailbox's owner was told
    UNIQUE (mailbox_id, place)
);
CREATE INDEX refused_mail_untold ON refused_mail (mailbox_id) WHERE told_at IS NULL;
