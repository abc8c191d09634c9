// Runs before the first paint, so that a chosen theme or direction never flashes the other one.
try {
  const { theme, language } = JSON.parse(localStorage.getItem('parley.settings') ?? '{}')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
  if (language) document.documentElement.lang = language
  if (language === 'ar') document.documentElement.dir = 'rtl'
} catch {
  // Storage may be refused; the system's theme is shown then.
}
