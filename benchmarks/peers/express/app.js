// The site as the Express tutorial builds it, and the pages of the races:
//   node app.js PORT [no-session]
'use strict';

const crypto = require('node:crypto');
const express = require('express');

const LIMIT = 20;
const TIMEOUT = 1200; // seconds
const LIFETIME = 43200;

const app = express();
app.set('view engine', 'pug');
app.set('views', `${__dirname}/views`);
app.set('trust proxy', 1);

if (process.argv[3] === 'no-session') {
  const visit = fixedVisits();
  addPages((req, res, next) => {
    req.visit = visit;
    next();
  });
} else {
  addSessions();
  addPages(recordVisit);
  require('./races')(app);
}

app.listen(Number(process.argv[2]), '127.0.0.1');

function addPages(visit) {
  for (const [path, title] of [['/', 'Home'], ['/about', 'About'], ['/contact', 'Contact']]) {
    const view = title === 'Home' ? 'index' : title.toLowerCase();
    app.get(path, visit, (req, res) => {
      res.render(view, { title, limit: LIMIT, ...req.visit });
    });
  }
}

function addSessions() {
  const session = require('express-session');
  const store = require('connect-pg-simple');

  app.use(session({
    store: new (store(session))({
      conString: process.env.DATABASE_URL,
      createTableIfMissing: true,
    }),
    secret: process.env.SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, maxAge: TIMEOUT * 1000, sameSite: 'lax', secure: true },
  }));
}

function recordVisit(req, res, next) {
  const { session } = req;
  const now = Math.floor(Date.now() / 1000);
  if (!session.history) {
    session.history = [];
    session.created = now;
    session.name = crypto.randomBytes(16).toString('base64url');
    session.csrf_token = crypto.randomBytes(20).toString('hex');
  }
  session.history.unshift(`${req.protocol}://${req.get('host')}${req.originalUrl}`);
  session.history.length = Math.min(session.history.length, LIMIT);
  const seen = session.seen || now;
  session.seen = now;
  req.visit = {
    history: session.history,
    csrf_token: session.csrf_token,
    details: details(session, seen, now),
  };
  next();
}

function fixedVisits() {
  const now = Math.floor(Date.now() / 1000);
  const urls = ['https://bench.example/contact', 'https://bench.example/about', 'https://bench.example/'];
  return {
    history: Array.from({ length: LIMIT }, (_, i) => urls[i % 3]),
    csrf_token: crypto.randomBytes(20).toString('hex'),
    details: details({ created: now, name: crypto.randomBytes(16).toString('base64url') }, now, now),
  };
}

function details(session, seen, now) {
  return [
    moment('Started', session.created, now),
    moment('Last seen', seen, now),
    moment('Ends if unused', now + TIMEOUT, now),
    moment('Ends at the latest', session.created + LIFETIME, now),
    { term: 'Kept', text: 'in a PostgreSQL database' },
    { term: 'Size', text: `${JSON.stringify(session).length} bytes` },
    { term: 'Name', text: session.name },
  ];
}

function moment(term, seconds, now) {
  const datetime = `${new Date(seconds * 1000).toISOString().slice(0, 19)}+00:00`;
  return { term, text: relative(seconds - now), moment: datetime };
}

function relative(seconds) {
  const past = Math.abs(seconds);
  if (past < 1) return 'just now';
  const [unit, size] = past >= 3600 ? ['hour', 3600] : past >= 60 ? ['minute', 60] : ['second', 1];
  const count = Math.round(past / size);
  const words = `${count} ${unit}${count === 1 ? '' : 's'}`;
  return seconds > 0 ? `in ${words}` : `${words} ago`;
}
