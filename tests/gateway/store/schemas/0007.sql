BEGIN TRANSACTION;
CREATE TABLE accounts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	user_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	connector TEXT NOT NULL, 
	settings TEXT NOT NULL, 
	credentials BLOB, 
	cursor TEXT, 
	state TEXT NOT NULL, 
	last_error TEXT, 
	is_declared INTEGER DEFAULT '0' NOT NULL, 
	is_primary INTEGER DEFAULT '0' NOT NULL, 
	object_tag TEXT NOT NULL, 
	has_plain_ids INTEGER DEFAULT '0' NOT NULL, 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	UNIQUE (user_id, name)
);
INSERT INTO "accounts" VALUES(1,1,'Home','memory','{"seed": 1}',X'017365616C6564','c9','new',NULL,0,0,'0f3a61b2c4',1);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE app_passwords (
	user_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	created INTEGER NOT NULL, 
	PRIMARY KEY (user_id, name), 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO "app_passwords" VALUES(1,'phone','app-sha256$00$00',1767323045);
CREATE TABLE envelopes (
	message_id INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "envelopes" VALUES(1,X'284E494C20226F6E6522204E494C204E494C204E494C204E494C204E494C204E494C204E494C204E494C29');
CREATE TABLE header_values (
	message_id INTEGER NOT NULL, 
	block BLOB NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "header_values" VALUES(3,X'5375626A6563743A207468726565');
CREATE TABLE headers (
	message_id INTEGER NOT NULL, 
	block BLOB NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "headers" VALUES(1,X'5375626A6563743A206F6E650D0A0D0A');
CREATE TABLE intents (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	account_id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	content_hash BLOB, 
	state TEXT NOT NULL, 
	created INTEGER NOT NULL, 
	FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
INSERT INTO "intents" VALUES(1,1,'append','{"mailbox": 1}',X'6868686868686868686868686868686868686868686868686868686868686868','started',1767323045);
CREATE TABLE mailbox_annotations (
	mailbox_id INTEGER NOT NULL, 
	entry TEXT NOT NULL, 
	value BLOB NOT NULL, 
	PRIMARY KEY (mailbox_id, entry), 
	FOREIGN KEY(mailbox_id) REFERENCES mailboxes (id) ON DELETE CASCADE
);
INSERT INTO "mailbox_annotations" VALUES(1,'/private/comment',X'6F757273');
CREATE TABLE mailboxes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	account_id INTEGER NOT NULL, 
	ref TEXT NOT NULL, 
	path TEXT NOT NULL, 
	role TEXT, 
	is_selectable INTEGER DEFAULT '1' NOT NULL, 
	allows_children INTEGER DEFAULT '1' NOT NULL, 
	is_read_only INTEGER DEFAULT '0' NOT NULL, 
	is_subscribed INTEGER DEFAULT '1' NOT NULL, 
	storable_flags TEXT NOT NULL, 
	any_keyword INTEGER DEFAULT '1' NOT NULL, 
	uidvalidity INTEGER NOT NULL, 
	uidnext INTEGER DEFAULT '1' NOT NULL, 
	recent_uid INTEGER DEFAULT '1' NOT NULL, 
	highestmodseq INTEGER NOT NULL, 
	tombstone_floor INTEGER NOT NULL, 
	messages INTEGER DEFAULT '0' NOT NULL, 
	unseen INTEGER DEFAULT '0' NOT NULL, 
	deleted INTEGER DEFAULT '0' NOT NULL, 
	octets INTEGER DEFAULT '0' NOT NULL, 
	cursor TEXT, 
	is_listed INTEGER DEFAULT '0' NOT NULL, 
	synced_at INTEGER, 
	object_id TEXT NOT NULL, 
	FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE, 
	UNIQUE (account_id, ref)
);
INSERT INTO "mailboxes" VALUES(1,1,'in','["INBOX"]','inbox',1,1,0,1,'\Flagged \Seen',1,1767323045,4,1,115823283077123,115823283077120,2,1,1,2223,'c1',1,1767323045,'F0123456789abcdef');
INSERT INTO "mailboxes" VALUES(2,1,'other','["Gr\u00fc\u00dfe", "a/b"]',NULL,1,1,0,1,'',1,1767323046,72,1,115823283077122,115823283077120,1,1,0,1000,NULL,0,NULL,'P2');
CREATE TABLE messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	account_id INTEGER NOT NULL, 
	scope_mailbox_id INTEGER NOT NULL, 
	ref TEXT NOT NULL, 
	email_id TEXT, 
	thread_id TEXT, 
	internal_date INTEGER, 
	internal_zone INTEGER, 
	size INTEGER, 
	size_is_exact INTEGER DEFAULT '0' NOT NULL, 
	hydration INTEGER DEFAULT '0' NOT NULL, 
	content_hash BLOB, kept_id INTEGER, 
	FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE, 
	UNIQUE (account_id, scope_mailbox_id, ref)
);
INSERT INTO "messages" VALUES(1,1,0,'m1','E1','T1',1767000000,60,1000,1,2,NULL,NULL);
INSERT INTO "messages" VALUES(2,1,0,'m2',NULL,NULL,1767000001,-300,10,0,0,NULL,NULL);
INSERT INTO "messages" VALUES(3,1,0,'m3',NULL,NULL,1767000002,NULL,1223,1,0,X'AA',1);
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('uidvalidity',1767323046);
CREATE TABLE placements (
	mailbox_id INTEGER NOT NULL, 
	uid INTEGER NOT NULL, 
	message_id INTEGER NOT NULL, 
	flags INTEGER DEFAULT '0' NOT NULL, 
	keywords TEXT DEFAULT '' NOT NULL, 
	modseq INTEGER NOT NULL, 
	save_date INTEGER, 
	PRIMARY KEY (mailbox_id, uid), 
	FOREIGN KEY(mailbox_id) REFERENCES mailboxes (id) ON DELETE CASCADE, 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE, 
	UNIQUE (mailbox_id, message_id)
)
 WITHOUT ROWID

;
INSERT INTO "placements" VALUES(1,1,1,1,'$Forwarded',115823283077122,1767323045);
INSERT INTO "placements" VALUES(1,3,3,8,'',115823283077121,NULL);
INSERT INTO "placements" VALUES(2,70,1,4,'a b',115823283077121,NULL);
CREATE TABLE previews (
	message_id INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "previews" VALUES(1,'Grüße');
CREATE TABLE scram_keys (
	user_id INTEGER NOT NULL, 
	password_hash TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	PRIMARY KEY (user_id, password_hash), 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO "scram_keys" VALUES(1,'app-sha256$00$00',X'7365616C6564');
CREATE TABLE set_aside (
	account_id INTEGER NOT NULL, 
	mailbox_id INTEGER NOT NULL, 
	ref TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	attempts INTEGER DEFAULT '1' NOT NULL, 
	last_attempt INTEGER NOT NULL, 
	PRIMARY KEY (account_id, mailbox_id, ref), 
	FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
INSERT INTO "set_aside" VALUES(1,1,'m9','cannot be read',1,1767323045);
CREATE TABLE sort_keys (
	message_id INTEGER NOT NULL, 
	sent INTEGER, 
	is_reply INTEGER DEFAULT '0' NOT NULL, 
	subject TEXT NOT NULL, 
	sender TEXT NOT NULL, 
	recipient TEXT NOT NULL, 
	copied TEXT NOT NULL, 
	shown_sender TEXT NOT NULL, 
	shown_recipient TEXT NOT NULL, 
	own_id TEXT NOT NULL, 
	ancestors TEXT NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "sort_keys" VALUES(1,1767000000,1,'one','anna','bob','','anna b','bob','one@example.org','zero@example.org');
CREATE TABLE structures (
	message_id INTEGER NOT NULL, 
	body_structure BLOB, 
	part_index BLOB, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "structures" VALUES(1,X'282254455854222022504C41494E22204E494C204E494C204E494C2022374249542220332031204E494C204E494C204E494C204E494C29',X'0102');
CREATE TABLE subscribed_names (
	account_id INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	ref TEXT, 
	PRIMARY KEY (account_id, path), 
	FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
INSERT INTO "subscribed_names" VALUES(1,'["Gone", "Gr\u00fc\u00dfe"]','gone');
CREATE TABLE tombstones (
	mailbox_id INTEGER NOT NULL, 
	uid INTEGER NOT NULL, 
	modseq INTEGER NOT NULL, 
	PRIMARY KEY (mailbox_id, uid), 
	FOREIGN KEY(mailbox_id) REFERENCES mailboxes (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tombstones" VALUES(1,2,115823283077123);
INSERT INTO "tombstones" VALUES(2,71,115823283077122);
CREATE TABLE user_annotations (
	user_id INTEGER NOT NULL, 
	entry TEXT NOT NULL, 
	value BLOB NOT NULL, 
	PRIMARY KEY (user_id, entry), 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO "user_annotations" VALUES(1,'/private/filters/values/boss',X'46524F4D20626F7373');
CREATE TABLE users (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	login TEXT NOT NULL, 
	login_key TEXT NOT NULL, 
	password_hash TEXT, 
	is_declared INTEGER DEFAULT '0' NOT NULL, 
	had_account INTEGER DEFAULT '0' NOT NULL, 
	UNIQUE (login_key)
);
INSERT INTO "users" VALUES(1,'anna@example.org','anna@example.org','$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA',0,1);
CREATE TABLE usual_headers (
	message_id INTEGER NOT NULL, 
	block BLOB NOT NULL, 
	PRIMARY KEY (message_id), 
	FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "usual_headers" VALUES(1,X'5375626A6563743A206F6E650D0A0D0A');
CREATE INDEX ix_intents_account_id ON intents (account_id);
CREATE INDEX ix_messages_content_hash ON messages (account_id, content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX ix_messages_email_id ON messages (account_id, email_id) WHERE email_id IS NOT NULL;
CREATE INDEX ix_messages_thread_id ON messages (account_id, thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX ix_placements_message_id ON placements (message_id);
CREATE INDEX ix_placements_modseq ON placements (mailbox_id, modseq);
CREATE INDEX ix_tombstones_modseq ON tombstones (mailbox_id, modseq);
CREATE INDEX ix_messages_kept_id ON messages (account_id, kept_id) WHERE kept_id IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('users',1);
INSERT INTO "sqlite_sequence" VALUES('accounts',1);
INSERT INTO "sqlite_sequence" VALUES('mailboxes',2);
INSERT INTO "sqlite_sequence" VALUES('messages',3);
INSERT INTO "sqlite_sequence" VALUES('intents',1);
COMMIT;
