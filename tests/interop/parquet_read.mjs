// Reads Parquet files with hyparquet; prints for each a line: which cells of which row are null.
// Fails when the page indexes of a column chunk do not agree with its statistics.
// With --cells FILE: each row as an object of cells, as tests/support/column_json.h prints them,
// but for decimals, which hyparquet makes reals.
import {
  asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, readColumnIndex, readOffsetIndex,
} from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

const view = async (file, offset, length) => ({
  view: new DataView(await file.slice(Number(offset), Number(offset) + length)), offset: 0,
})

// hyparquet cannot convert the empty bounds of a page of nulls: the bytes are enough here.
const asBytes = { type: 'BYTE_ARRAY', name: 'bound' }

async function checkIndexes(path, file, metadata) {
  for (const group of metadata.row_groups) {
    for (const chunk of group.columns) {
      const where = `${path}: ${chunk.meta_data.path_in_schema.join('.')}`
      const offsets = readOffsetIndex(
        await view(file, chunk.offset_index_offset, chunk.offset_index_length)).page_locations
      if (Number(offsets[0].first_row_index) !== 0) throw new Error(`${where}: first page`)
      if (chunk.column_index_offset === undefined) continue
      const index = readColumnIndex(
        await view(file, chunk.column_index_offset, chunk.column_index_length), asBytes)
      const nulls = index.null_counts.reduce((sum, count) => sum + Number(count), 0)
      if (index.null_pages.length !== offsets.length || index.min_values.length !== offsets.length ||
          nulls !== Number(chunk.meta_data.statistics.null_count)) {
        throw new Error(`${where}: the indexes disagree`)
      }
    }
  }
}

const parsers = { timestampFromMicroseconds: micros => micros, dateFromDays: days => days }

function cell(value) {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return `"x${Buffer.from(value).toString('hex')}"`
  if (Array.isArray(value)) return `[${value.map(cell).join()}]`
  if (typeof value !== 'object') return JSON.stringify(value)
  return `{${Object.entries(value).map(([key, v]) => `${JSON.stringify(key)}:${cell(v)}`).join()}}`
}

const wantsCells = process.argv[2] === '--cells'
if (wantsCells) {
  const file = await asyncBufferFromFile(process.argv[3])
  const rows = await parquetReadObjects({ file, compressors, parsers, utf8: false })
  console.log(rows.map(cell).join('\n'))
}

for (const path of wantsCells ? [] : process.argv.slice(2)) {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  await checkIndexes(path, file, metadata)
  const names = []
  for (let i = 1, skip = 0; i < metadata.schema.length; i++) {
    const element = metadata.schema[i]
    if (skip === 0) names.push(element.name)
    if (skip > 0) skip--
    skip += element.num_children ?? 0
  }
  const rows = await parquetReadObjects({ file, metadata, compressors })
  console.log(JSON.stringify(rows.map(row => names.map(name => row[name] == null))))
}
