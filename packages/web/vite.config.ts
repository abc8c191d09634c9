import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// In development the page comes from Vite and everything else from a running platform.
const platform = process.env.PARLEY_URL ?? 'http://127.0.0.1:3000'

export default defineConfig({
  plugins: [vue()],
  define: { __VUE_OPTIONS_API__: 'false' },
  server: { host: '127.0.0.1', proxy: { '/api': { target: platform, ws: true } } },
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // The content security policy knows no data: addresses and no inline script or style.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false
  }
})
