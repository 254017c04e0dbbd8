import { collectNames } from './collect-names.ts'

export const shedNames = collectNames('shed name')
