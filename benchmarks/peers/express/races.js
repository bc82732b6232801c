'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

// What a handler does for ?work= milliseconds after it has read the session.
const work = (req, res) => {
  res.set('X-Loaded', String(Date.now() / 1000));
  return sleep(Number(req.query.work || 0));
};

const data = (req) => {
  const { cookie, ...rest } = req.session;
  return rest;
};

// regenerate() starts with an empty session: the data is carried over by hand.
const regenerate = (req) => new Promise((resolve, reject) => {
  const kept = data(req);
  req.session.regenerate((error) => {
    if (error) return reject(error);
    Object.assign(req.session, kept);
    resolve();
  });
});

module.exports = (app) => {
  app.get('/me', async (req, res) => {
    const before = data(req);
    await work(req, res);
    res.json(before);
  });

  app.get('/set/:key', async (req, res) => {
    await work(req, res);
    req.session[req.params.key] = 'x';
    res.json({});
  });

  app.get('/visit/:number', async (req, res) => {
    req.session.history = [req.originalUrl, ...(req.session.history || [])];
    await work(req, res);
    res.json({});
  });

  app.get('/touch', async (req, res) => {
    await work(req, res);
    req.session.touch();
    res.json({});
  });

  app.get('/rotate', async (req, res) => {
    await regenerate(req);
    res.json({});
  });

  app.get('/login/:user', async (req, res) => {
    await regenerate(req);
    req.session.user = req.params.user;
    if (!req.query.save) return res.redirect(303, '/me');
    req.session.save((error) => error ? res.sendStatus(500) : res.redirect(303, '/me'));
  });

  app.get('/logout', (req, res) => {
    req.session.destroy((error) => error ? res.sendStatus(500) : res.json({}));
  });
};
