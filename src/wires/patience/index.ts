/**
 * wires/patience: how long one waits for a server, and how often one asks again.
 *
 * Promises: tries are spaced out and bounded in number and time; what will not pass is not tried again.
 */
export { type AttemptOptions, Attempts, PassingProblem, retrying, unlessCancelled } from './attempts.ts'
export { defaultPatience, type Patience } from './patience.ts'
