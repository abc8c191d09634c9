/**
 * Tells the keys that belong to an input method from those that belong to the page. Three signs are needed:
 * browsers differ in whether the key that ends a composition comes before or after its end, and what it says.
 */
export function useComposition() {
  let ending = false

  function onCompositionEnd(): void {
    ending = true
    setTimeout(() => (ending = false))
  }

  function isComposing(event: KeyboardEvent): boolean {
    return event.isComposing || event.keyCode === 229 || ending
  }

  return { isComposing, onCompositionEnd }
}
