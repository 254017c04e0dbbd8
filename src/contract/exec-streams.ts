/** First byte of a binary message on the WebSockets of …/exec and …/shell. */
export const execStreams = { stdin: 0, stdout: 1, stderr: 2 } as const
