/** The page fields of a list, as every list answers them. */
export function toPagination({ page, page_size }: { page: number; page_size: number }, total_items: number) {
  return { page, page_size, total_items, total_pages: Math.ceil(total_items / page_size), has_next: page * page_size < total_items }
}
