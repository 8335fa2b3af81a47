// What all node clients here do: say when they listen, then answer "ping X" with "pong X" and end.
'use strict'

const told = JSON.parse(process.env.SANDBOX)

exports.told = told
exports.host = told.url.replace('http://', '')
exports.username = 'alice'
exports.password = 'secret'
exports.room = 'GENERAL'

exports.listening = () => console.log('listening')

// The answer to a text, or undefined when it is none of our business.
exports.answer = (text) => {
  const found = /^ping (.+)$/.exec(text)
  return found ? `pong ${found[1]}` : undefined
}

exports.end = (error) => {
  if (error) console.error(error)
  process.exit(error ? 1 : 0)
}

process.on('unhandledRejection', exports.end)
