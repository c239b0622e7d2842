// Writes app/static/source.sha256: the digest of everything the built pages were made from.
// tests/unit/web_build/test_web_build.py computes the same in Python.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const WEB = fileURLToPath(new URL("..", import.meta.url));
const STAMP = fileURLToPath(new URL("../../app/static/source.sha256", import.meta.url));

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isFile()) return [path];
    const skipped = entry.name === "node_modules" || entry.name.startsWith(".");
    return entry.isDirectory() && !skipped ? filesUnder(path) : [];
  });
}

/** Bytes with CRLF as LF, so that a checkout with other line ends has the same digest. */
function withLineFeeds(bytes) {
  return Buffer.from(bytes.toString("latin1").replaceAll("\r\n", "\n"), "latin1");
}

const files = filesUnder(WEB)
  .map((path) => ({ path, name: relative(WEB, path).split(sep).join("/") }))
  .sort((a, b) => (a.name < b.name ? -1 : 1));

const hash = createHash("sha256");
for (const { path, name } of files) {
  hash.update(`${name}\0`, "utf8");
  hash.update(withLineFeeds(readFileSync(path)));
}
writeFileSync(STAMP, `${hash.digest("hex")}\n`);
