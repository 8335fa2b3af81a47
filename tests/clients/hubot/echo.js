// A script of hubot 3 behind hubot-rocketchat 2.0.0: it hears what is said and answers in the same room.
'use strict'

module.exports = (robot) => {
  robot.hear(/^ping (.+)$/, (response) => {
    response.send(`pong ${response.match[1]}`)
  })
  console.log('listening')
}
