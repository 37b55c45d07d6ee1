// Reads one Parquet file with arrow-rs (parquet-wasm) and writes it to stdout as an Arrow stream.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { readParquet } = createRequire(import.meta.url)('parquet-wasm/node')
process.stdout.write(readParquet(new Uint8Array(readFileSync(process.argv[2]))).intoIPCStream())
