// @rocket.chat/sdk 0.2.9: password, joinRoom, __my_messages__ through asteroid, sendMessage.
'use strict'

const { driver } = require('@rocket.chat/sdk')
const echo = require('./echo')

async function main () {
  driver.useLog({ debug () {}, info () {}, warn () {}, warning () {}, error: console.error })
  await driver.connect({ host: echo.host, useSsl: false })
  await driver.login({ username: echo.username, password: echo.password })
  await driver.joinRooms(['general'])
  await driver.subscribeToMessages()
  await driver.respondToMessages(async (error, message) => {
    if (error) return echo.end(error)
    const answer = echo.answer(message.msg)
    if (!answer) return
    await driver.sendToRoom(answer, await driver.getRoomName(message.rid))
    echo.end()
  })
  echo.listening()
}

main().catch(echo.end)
