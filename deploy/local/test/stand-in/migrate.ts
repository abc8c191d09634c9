process.exit(process.env.DATABASE_URL?.startsWith('postgres://') ? 0 : 1)
