/** What was dropped on the page: files, and those in a folder. */

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<File[]>} */
async function inside(folder) {
  const reader = folder.createReader();
  const files = [];
  for (;;) {
    // It gives some at a time, and none when it has given all.
    const entries = await new Promise((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (!entries.length) return files;
    for (const entry of entries) {
      if (!entry.isFile) continue;
      files.push(await new Promise((resolve, reject) => {
        entry.file(resolve, reject);
      }));
    }
  }
}

/**
 * @param {DataTransfer} transfer of the event, while it is being told
 * @returns {Promise<File[]>} of a folder its images alone
 */
export async function dropped(transfer) {
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  const folders = entries.filter((entry) => entry?.isDirectory);
  if (!folders.length) return files;
  const found = (await Promise.all(folders.map(inside))).flat();
  return found.filter(({ type }) => type.startsWith('image/'));
}
