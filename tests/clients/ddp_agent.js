// @rocket.chat/ddp-client 1.1.2 as an agent: password digest, stream of a room, call, and REST with the same log-in.
'use strict'

const { createHash } = require('node:crypto')
globalThis.WebSocket ??= require('ws') // node has one of its own from 22 on
const { DDPSDK } = require('@rocket.chat/ddp-client')
const echo = require('./echo')

async function main () {
  const sdk = await DDPSDK.createAndConnect(echo.told.url)
  await sdk.account.loginWithPassword(echo.username, createHash('sha256').update(echo.password).digest('hex'))
  const me = await sdk.rest.get('/v1/me')
  if (me.username !== echo.username) throw new Error(`logged in as ${me.username}`)
  const stream = sdk.stream('room-messages', echo.room, async (message) => {
    const answer = echo.answer(message.msg)
    if (!answer) return
    await sdk.call('sendMessage', { rid: message.rid, msg: answer })
    echo.end()
  })
  await stream.ready()
  echo.listening()
}

main().catch(echo.end)
