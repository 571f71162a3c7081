// What the edge is measured against: a bare server that verifies the same tokens and does the same
// heartbeat as one write, and the same cached read as one GET. No limits, no validation, no logs.
//
// TWIN_KEY_FILE: the public key, PEM. TWIN_REDIS_URL. Prints its port and listens on the loopback.
import { readFileSync } from 'node:fs'
import jwt from '@fastify/jwt'
import fastify from 'fastify'
import Redis from 'ioredis'

const redis = new Redis(process.env.TWIN_REDIS_URL)
const app = fastify({ logger: false })

await app.register(jwt, {
  secret: { public: readFileSync(process.env.TWIN_KEY_FILE, 'utf8'), private: 'signs nothing' },
  // As Envoy does: a token that was verified is looked up.
  verify: { algorithms: ['EdDSA'], allowedIss: 'eros', allowedAud: 'eros', cache: 10000 }
})
app.addHook('onRequest', (request) => request.jwtVerify())

app.post('/api/v1/heartbeat', async (request) => {
  const { appActive, screenOn } = request.body
  const now = Date.now()
  if (appActive && screenOn) await redis.zadd('active', now, request.user.sub)
  return { success: true, idleTime: 0, processingPhase: 0, timestamp: new Date(now).toISOString() }
})

app.get('/api/v1/matches/daily', async (request, reply) => {
  const answer = await redis.getBuffer(`daily:${request.user.sub}`)
  if (answer === null) return reply.code(404).send({ success: false })
  return reply.header('content-type', 'application/json').send(answer)
})

await app.listen({ host: '127.0.0.1', port: 0 })
console.log(app.server.address().port)
