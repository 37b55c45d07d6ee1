// Reads Parquet files with hyparquet; prints for each a line: which cells of which row are null.
import { parquetReadObjects, asyncBufferFromFile, parquetMetadataAsync } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

for (const path of process.argv.slice(2)) {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
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
