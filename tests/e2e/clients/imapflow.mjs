// Drives imapflow for tests/e2e/clients/imapflow_client.py: one JSON request a line on standard input, one JSON answer a
// line on standard output. {"do": "copy", "args": [...]} is answered {"value": ...} or {"error": "..."}.
// Contents travel as base64. `idle` starts IDLE; `announced` is answered when the server has told of a new count.

import { createInterface } from 'node:readline';
import { ImapFlow } from 'imapflow';

const [, , host, port, user] = process.argv;

let client = null;
let counts = [];
let waiter = null;
let told = [];

function counted(count) {
    counts.push(count);
    if (waiter) {
        waiter();
        waiter = null;
    }
}

async function connect(pass, options = {}) {
    client = new ImapFlow({
        ...options,
        host,
        port: Number(port),
        secure: false,
        doSTARTTLS: false,
        disableAutoIdle: true,
        logger: false,
        auth: { user, pass },
    });
    client.on('error', error => process.stderr.write(`${error.stack}\n`));
    client.on('exists', event => counted(event.count));
    client.on('expunge', event => told.push(plain({ what: 'expunge', ...event })));
    client.on('flags', event => told.push(plain({ what: 'flags', ...event })));
    await client.connect();
}

// What JSON cannot say: sets become sorted lists, big integers strings, octets base64.
function plain(value) {
    if (typeof value === 'bigint') {
        return String(value);
    }
    if (Buffer.isBuffer(value)) {
        return value.toString('base64');
    }
    if (value instanceof Set) {
        return [...value].map(plain).sort();
    }
    if (value instanceof Map) {
        return Object.fromEntries([...value].map(([key, one]) => [key, plain(one)]));
    }
    if (Array.isArray(value)) {
        return value.map(plain);
    }
    if (value !== null && typeof value === 'object') {
        return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
    }
    return value;
}

async function taken(stream) {
    const blocks = [];
    for await (const block of stream) {
        blocks.push(block);
    }
    return Buffer.concat(blocks);
}

async function inMailbox(name, work) {
    const lock = await client.getMailboxLock(name);
    try {
        return await work();
    } finally {
        lock.release();
    }
}

async function fetchAll(name, query, value) {
    return inMailbox(name, async () => {
        const found = {};
        // An EXPUNGE may not be told in answer to a FETCH (RFC 9051 section 7.5.1).
        await client.noop();
        if (client.mailbox.exists) {
            for await (const message of client.fetch('1:*', { uid: true, ...query })) {
                // A change of flags that the server tells of meanwhile comes by here too, without a UID.
                if (message.uid) {
                    found[message.uid] = value(message);
                }
            }
        }
        return found;
    });
}

function sure(result) {
    if (result === false || result === undefined) {
        throw new Error('refused');
    }
    return true;
}

const uidOnly = { uid: true };

const commands = {
    connect,
    mailboxes: async () => (await client.list()).map(entry => entry.path),
    create: async name => sure(await client.mailboxCreate(name)),
    rename: async (name, newName) => sure(await client.mailboxRename(name, newName)),
    remove: async name => sure(await client.mailboxDelete(name)),
    messages: name => fetchAll(name, { source: true }, message => message.source.toString('base64')),
    flags: name => fetchAll(name, { flags: true }, message => [...message.flags]),
    structures: name => fetchAll(name, { bodyStructure: true, envelope: true }, message => ({
        type: message.bodyStructure.type,
        subject: message.envelope.subject ?? null,
    })),
    search: (name, text) => inMailbox(name, () => client.search({ subject: text }, uidOnly)),
    append: async (name, content, flags) => sure(await client.append(name, Buffer.from(content, 'base64'), flags)),
    addFlags: (name, uid, flags) =>
        inMailbox(name, async () => sure(await client.messageFlagsAdd(String(uid), flags, uidOnly))),
    removeFlags: (name, uid, flags) =>
        inMailbox(name, async () => sure(await client.messageFlagsRemove(String(uid), flags, uidOnly))),
    copy: (name, uid, destination) =>
        inMailbox(name, async () => sure(await client.messageCopy(String(uid), destination, uidOnly))),
    move: (name, uid, destination) =>
        inMailbox(name, async () => sure(await client.messageMove(String(uid), destination, uidOnly))),
    delete: (name, uid) => inMailbox(name, async () => sure(await client.messageDelete(String(uid), uidOnly))),
    idle: async name => {
        await client.mailboxOpen(name);
        counts = [];
        // Not awaited: it ends when `announced` breaks it. What happens before the server's "+" is announced after it.
        client.idle().catch(error => process.stderr.write(`${error.stack}\n`));
        return true;
    },
    announced: async () => {
        if (!counts.length) {
            await new Promise(resolve => {
                waiter = resolve;
            });
        }
        await client.noop();
        return counts.at(-1);
    },
    enabled: async () => [...client.enabled].sort(),
    // Opens a mailbox, with `options` of imapflow's mailboxOpen, and answers what is known of it now.
    open: async (name, options) => plain(await client.mailboxOpen(name, options)),
    // Answers what the server has told of its own accord since this was last asked.
    told: async () => {
        await client.noop();
        return told.splice(0);
    },
    // Answers messages by any query and options of imapflow, in the mailbox that is open.
    fetch: async (range, query, options) => {
        const found = [];
        for await (const message of client.fetch(range, query, options)) {
            found.push(plain(message));
        }
        return found;
    },
    find: async (query, options) => plain(await client.search(query, { ...uidOnly, ...options })),
    download: async (uid, part, options) =>
        (await taken((await client.download(String(uid), part, { ...uidOnly, ...options })).content)).toString('base64'),
    close: async () => {
        await client.logout();
        return true;
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    let answer;
    try {
        answer = { value: await commands[request.do](...request.args) };
    } catch (error) {
        answer = { error: `${error.message} ${error.responseText ?? ''}`.trim() };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
}
