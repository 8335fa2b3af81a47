// @rocket.chat/ddp-client 1.1.2 as a visitor: register, open a room, hear who serves and what he says, answer.
'use strict'

globalThis.WebSocket ??= require('ws')
const { LivechatClientImpl } = require('@rocket.chat/ddp-client')
const echo = require('./echo')

async function main () {
  const client = LivechatClientImpl.create(echo.told.url)
  await client.connection.connect()
  await client.grantVisitor({ visitor: { token: `visitor-${process.pid}`, name: 'Vera', email: 'vera@example.test' } })
  const config = await client.config({ token: client.token })
  if (!config.online) throw new Error('nobody is online')
  const room = await client.room()
  const agent = await client.agent(room._id)
  if (agent.username !== 'bot') throw new Error(`served by ${agent.username}`)
  const changes = []
  client.onAgentChange(room._id, (found) => changes.push(found && found.username))
  client.onMessage(async (message) => {
    const answer = echo.answer(message.msg)
    if (!answer) return
    if (changes.join() !== ',alice') throw new Error(`served by ${changes.join()} before alice spoke`)
    await client.sendMessage({ rid: room._id, msg: answer })
    const history = await client.loadMessages(room._id)
    if (history[0].msg !== answer) throw new Error(`the history ends with ${history[0].msg}`)
    echo.end()
  })
  client.subscribeRoom(room._id)
  await Promise.all([...client.client.subscriptions.values()].map((each) => each.ready()))
  console.log(`room ${room._id}`)
  echo.listening()
}

main().catch(echo.end)
