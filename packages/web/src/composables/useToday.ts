import { ref } from 'vue'
import { dayNumber } from '../text/times.ts'

/** A time within today; it changes when the day does, and when a sleeping machine wakes on another one. */
const today = ref(Date.now())

setInterval(() => {
  if (dayNumber(Date.now()) !== dayNumber(today.value)) today.value = Date.now()
}, 1_000)

export function useToday() {
  return today
}
